"""VRSTC except its re-ID network: scores thirds of frames and completes the occluded ones."""
