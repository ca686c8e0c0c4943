"""Instruments to compare and to explain: comparisons over seeds, oracles, quality of completion."""
