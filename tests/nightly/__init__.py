"""Robustness: malformed files for every reader, work killed at random points, full disks.

``make test-nightly`` runs a moderate number of each, ``tests/nightly/run.py`` any number.
"""
