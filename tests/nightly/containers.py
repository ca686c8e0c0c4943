"""Hostile images, checkpoints and archives as hypothesis strategies."""

import io
import math
import os
import tarfile
import warnings
import zipfile

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image

from nightly.inputs import changed, damaged, values

_BOMB = 20 * 2**20
_NAMES = [
    "a",
    "a/1.png",
    "a/b/2.png",
    "b",
    "../up",
    "a/../../up",
    "/abs",
    "..",
    ".",
    "",
    "a\\..\\x",
]
_NAMES += ["C:/x", "é\n", "link", "link/x", "link/../y", "x" * 300, "a//b", "./a", "a/", "\udcff"]
_TARGETS = ["1.png", "..", "../..", "/etc/passwd", "a", "link", "../a/1.png", ".", "", "x" * 5000]
_TAR_TYPES = [tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE]
_TAR_TYPES += [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"X", b"S"]
_TAR_MODES = ["w", "w:gz", "w:bz2", "w:xz"]


class _Command:
    """Runs a command when it is unpickled carelessly."""

    def __reduce__(self):
        return os.system, ("touch hard-use-was-here",)


def image_files():
    """Small images in all formats, damaged; headers that announce huge sizes; other formats."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    files = [
        _saved(picture.convert(mode), kind, **options)
        for mode, kind, options in (
            ("RGB", "JPEG", {}),
            ("RGB", "JPEG", {"progressive": True}),
            ("L", "JPEG", {}),
            ("CMYK", "JPEG", {}),
            ("RGB", "PNG", {}),
            ("RGBA", "PNG", {}),
            ("P", "PNG", {"transparency": 0}),
            ("1", "PNG", {}),
            ("I;16", "PNG", {}),
            ("RGB", "BMP", {}),
            ("RGB", "TIFF", {"compression": "tiff_lzw"}),
            ("RGB", "WEBP", {}),
            ("P", "GIF", {}),
            ("RGB", "PPM", {}),
            ("RGB", "EPS", {}),
            ("RGB", "PDF", {}),
            ("RGB", "TGA", {}),
            ("RGB", "JPEG2000", {}),
            ("RGB", "ICO", {}),
            ("F", "TIFF", {}),
        )
    ]
    files.append(_saved(Image.new("1", (20_000, 20_000)), "PNG"))  # a bomb of 50 kB
    files.append(_saved(Image.new("1", (9_000, 9_000)), "PNG"))  # large, but allowed
    return damaged(files) | st.sampled_from(files) | st.binary(max_size=200)


def checkpoint_files(states):
    """Checkpoints with foreign objects, broken tensors and commands, and damaged ones.

    Args:
        states: Contents of valid checkpoints.
    """
    leaves = values() | st.sampled_from([*range(len(_tensors()))]).map(lambda i: _tensors()[i])
    files = [_pickled(state, new) for state in states for new in (True, False)]
    return (
        st.builds(_pickled, changed(states, leaves), st.booleans())
        | damaged(files)
        | st.binary(max_size=200)
        | st.binary(max_size=50).map(lambda tail: b"\x80\x02" + tail)
    )


def zip_files():
    """Zip archives with members that leave the folder, collide or are huge, and damaged ones."""
    members = st.lists(
        st.tuples(
            st.sampled_from(_NAMES),
            st.sampled_from([b"", b"x", b"x" * 100, bytes(_BOMB)]),
            st.sampled_from([0, 0, 8, 8, 12, 14]),
            st.sampled_from([0, 0o120777 << 16, 0o40755 << 16, 0o20666 << 16]),
        ),
        max_size=5,
    )
    sound = [_zip([("a/1.png", b"x" * 50, kind, 0), ("b", b"", 0, 0)]) for kind in (0, 8, 12, 14)]
    return members.map(_zip) | damaged(sound) | damaged(sound) | st.binary(max_size=100)


def tar_files():
    """Tar archives with links, devices and members that leave the folder, and damaged ones."""
    members = st.lists(
        st.tuples(
            st.sampled_from(_NAMES),
            st.sampled_from(_TAR_TYPES),
            st.sampled_from(_TARGETS),
            st.sampled_from([0, 0, 1, 100, _BOMB]),
            st.sampled_from([0, 0o644, 0o755, 0o6777, 0o7777777]),
        ),
        max_size=5,
    )
    regular = tarfile.REGTYPE
    sound = [
        _tar([("a/1.png", regular, "", 50, 0o644), ("b", regular, "", 0, 0o644)], mode)
        for mode in _TAR_MODES
    ]
    built = st.builds(_tar, members, st.sampled_from(_TAR_MODES[:2]))
    return built | damaged(sound) | damaged(sound) | st.binary(max_size=100)


def _saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _tensors():
    return [
        torch.zeros(0),
        torch.zeros(()),
        torch.full((2, 2), math.nan),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(1, dtype=torch.int8).expand(2**40),
        torch.empty(2**40, device="meta"),
        torch.eye(2).to_sparse(),
        torch.nn.Parameter(torch.ones(1)),
        _Command(),
        {1, 2},
        (1, "a"),
        b"bytes",
        np.float64(0.5),
        np.zeros(2),
        torch.device("cpu"),
        torch.float32,
        torch.Size([1]),
        torch.nn.Linear(1, 1),
    ]


def _pickled(state, new_format):
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=new_format)
    return buffer.getvalue()


def _zip(members):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as file:
        warnings.simplefilter("ignore")  # duplicate names
        for name, content, compression, attributes in members:
            info = zipfile.ZipInfo(name.encode(errors="replace").decode())
            info.compress_type, info.external_attr = compression, attributes
            file.writestr(info, content)
    return buffer.getvalue()


def _tar(members, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as file:
        for name, kind, target, size, permissions in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, permissions
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = target
            elif kind == tarfile.REGTYPE:
                info.size = size
            file.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()
