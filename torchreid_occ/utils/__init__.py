"""Small things every part of the package may use."""
