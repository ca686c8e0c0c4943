"""The papers' blocks, one file each, usable alone and at any stage of a network."""
