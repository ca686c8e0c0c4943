"""Progress bars on a terminal, plain log lines elsewhere."""

from tqdm import tqdm


def progress(iterable, description, total=None, unit="it"):
    """A tqdm bar that shows after a second, and only where the output is a terminal."""
    return tqdm(
        iterable, desc=description, total=total, unit=unit, disable=None, delay=1, leave=False
    )
