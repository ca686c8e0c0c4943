"""Image files: a file is decoded completely, or an error names it and its fault."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from torchreid_occ._types import StrPath
from torchreid_occ.utils.progress import progress

# Pillow knows dozens more, of which some start other programs (EPS) or are barely maintained.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")


def read_image(path: StrPath, mode: str = "RGB") -> Image.Image:
    """Reads and fully decodes an image file.

    Sixteen-bit grey is scaled to eight bits; transparency is dropped, which leaves the stored
    colours (as torchreid and OpenCV do).

    Args:
        path: The image file.
        mode: What to convert to: ``'RGB'`` or ``'L'``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its content is not a complete image; names the file and the fault.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            return _to_eight_bits(image).convert(mode)
    except FileNotFoundError:
        raise FileNotFoundError(f'There is no image "{path}".') from None
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, EOFError, ...
        raise ValueError(f'Cannot decode image "{path}": {_fault(path, error)}.') from error


def verify_images(paths: Iterable[StrPath], workers: int) -> None:
    """Decodes every image once, in parallel.

    Args:
        paths: The image files; a path that is listed twice is decoded once.
        workers: Number of threads (decoding releases the interpreter's lock).

    Raises:
        ValueError: If files cannot be read; lists the first ten with their faults.
    """
    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        found = pool.map(_read_fault, paths)
        faults = [fault for fault in progress(found, "verifying", len(paths), "image") if fault]
    if faults:
        listed = "\n".join(faults[:10])
        raise ValueError(
            f"{len(faults)} of {len(paths)} images cannot be read (ten at most shown):\n{listed}"
        )


def _to_eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow opens 16-bit grey as I;16, I;16B or, formerly, I
        pixels = np.clip(np.asarray(image, np.float32) / 257, 0, 255).round()
        return Image.fromarray(pixels.astype(np.uint8))
    if "transparency" in image.info:
        return image.convert("RGBA")  # a palette's transparency does not convert to RGB directly
    return image


def _fault(path: StrPath, error: Exception) -> str:
    if not Path(path).stat().st_size:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return f"not a format of frames, which are {', '.join(FORMATS)}"
    return str(error).rstrip(".") or type(error).__name__


def _read_fault(path: StrPath) -> str | None:
    try:
        read_image(path)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return None
