"""VRSTC except its re-ID network: occlusion is located, and occluded regions are completed."""
