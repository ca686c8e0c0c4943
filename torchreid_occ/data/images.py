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

_ORIENTATION = 0x0112  # EXIF's tag
# How the stored pixels become upright, by the tag's value; 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: StrPath, mode: str = "RGB") -> Image.Image:
    """Reads and fully decodes an image file.

    The image is upright: the orientation that its EXIF data names is applied, as OpenCV and
    browsers do (phones store the pixels as their sensor reads them). Sixteen-bit grey is scaled to
    eight bits; transparency is dropped, which leaves the stored colours (as torchreid and OpenCV
    do).

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
            exif = image.info.get("exif")  # Pillow applies TIFF's tag itself
            pixels = _to_eight_bits(image).convert(mode)
            return pixels if exif is None else _upright(pixels, exif)
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


def _upright(image: Image.Image, content: bytes) -> Image.Image:
    """Applies the orientation of EXIF data; data that cannot be parsed names none."""
    exif = Image.Exif()
    try:
        exif.load(content)
        orientation = exif.get(_ORIENTATION)
    except Exception:  # SyntaxError, struct.error, ValueError, ...; the pixels are sound
        return image
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


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
