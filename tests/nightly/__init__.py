"""Hard use: readers fed with malformed files, and long work killed at random points.

``tools/hard_use.py`` runs this by the thousand, the tests a little of it.
"""
