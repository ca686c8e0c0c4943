import io
import time

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.data.clips import ItemKey, TrainClips
from torchreid_occ.data.images import read_image, verify_images
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.transforms import ClipTransform

RED = (200, 30, 10)


def test_rgb_pixels_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(str(tmp_path / "a.png"))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("RGB", (8, 8), RED).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image)[4, 4], RED, atol=6)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name):
    levels = np.array([[0, 257 * 100, 257 * 200, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / name)
    rgb = np.asarray(read_image(tmp_path / name))
    assert rgb[0].tolist() == [[0] * 3, [100] * 3, [200] * 3, [255] * 3]
    assert np.asarray(read_image(tmp_path / name, "L"))[0].tolist() == [0, 100, 200, 255]


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128])])
def test_palette_colours_survive_transparency(tmp_path, transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, 1, 2, 3])
    image.putpixel((1, 0), 1)
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", **options)
    assert np.asarray(read_image(tmp_path / "a.png")).tolist() == [[list(RED), [1, 2, 3]]]


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", 70), ("LA", (70, 0)), ("RGBA", (70, 70, 70, 9))]
)
def test_grey_and_transparent_become_rgb(tmp_path, mode, colour):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.mode == "RGB"
    assert (np.asarray(image) == 70).all()


QUARTERS = np.uint8([[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[9, 9, 9], [90, 90, 90], [250] * 3]])
# How a viewer shows stored pixels, by EXIF's orientation (TIFF 6.0, page 36).
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}
LOSSLESS = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}


def oriented(path, orientation, mode="RGB", **others):
    """Saves the quarters, 8 pixels each, with an orientation; returns the stored pixels."""
    image = Image.fromarray(QUARTERS.repeat(8, 0).repeat(8, 1)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = LOSSLESS.get(path.suffix[1:], {})
    image.save(path, exif=exif, **options, **others)
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", SHOWN)
def test_an_image_is_upright(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    shown = SHOWN[orientation](oriented(path, orientation))
    found = np.asarray(read_image(path))
    np.testing.assert_allclose(found, shown, atol=2)
    if suffix != "tif":  # OpenCV 5.0 fails at TIFF files that are turned by a quarter
        np.testing.assert_allclose(found, cv2.imread(str(path))[..., ::-1], atol=2)
    grey = np.asarray(read_image(path, "L"))  # as foreground maps are read
    assert grey.shape == shown.shape[:2]
    assert np.abs(grey - shown.mean(2))[shown.std(2) == 0].max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours_are_upright(tmp_path, mode):
    shown = SHOWN[6](oriented(tmp_path / "a.jpg", 6, mode))
    np.testing.assert_allclose(np.asarray(read_image(tmp_path / "a.jpg")), shown, atol=6)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation):
    stored = oriented(tmp_path / "a.jpg", orientation)
    np.testing.assert_allclose(np.asarray(read_image(tmp_path / "a.jpg")), stored, atol=2)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_damaged_exif_data_do_not_spoil_an_image(tmp_path, exif):
    stored = Image.fromarray(QUARTERS.repeat(8, 0).repeat(8, 1))
    stored.save(tmp_path / "a.jpg", exif=exif, **LOSSLESS["jpg"])
    found = np.asarray(read_image(tmp_path / "a.jpg"))
    np.testing.assert_allclose(found, np.asarray(stored), atol=2)


def test_an_orientation_in_xmp_alone_turns_nothing(tmp_path):
    """Pillow would apply it; OpenCV and browsers do not."""
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'
    stored = Image.fromarray(QUARTERS.repeat(8, 0).repeat(8, 1))
    stored.save(tmp_path / "a.jpg", xmp=packet, **LOSSLESS["jpg"])
    assert read_image(tmp_path / "a.jpg").size == stored.size


def test_a_jpeg_without_exif_data_is_decoded_as_pillow_does(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_noise("JPEG"))
    with Image.open(tmp_path / "a.jpg") as image:
        np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.jpg")), np.asarray(image))


def _noise(format):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


BROKEN = {
    "empty.jpg": (b"", "the file is empty"),
    "text.jpg": (b"<html>404</html>", "not a format of frames"),
    "picture.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "not a format of frames"),
    "truncated.jpg": (_noise("JPEG")[:900], "truncated"),
    "truncated.png": (_noise("PNG")[:900], "truncated"),
    "header.png": (_noise("PNG")[:20], "[Tt]runcated"),
    "damaged.png": (
        _noise("PNG")[:100] + b"x" * 50 + _noise("PNG")[150:],
        "unrecognized data|broken",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file_is_named_at_once(tmp_path, name):
    content, fault = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=f'Cannot decode image "{path}": .*({fault})'):
        read_image(path)
    assert time.perf_counter() - start < 1


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'There is no image "{tmp_path}/no.jpg"'):
        read_image(tmp_path / "no.jpg")


@pytest.mark.parametrize("workers", [0, 3])
def test_verify_images_lists_the_faulty_in_order(tmp_path, workers):
    good = tmp_path / "good.png"
    Image.new("RGB", (2, 2)).save(good)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    missing = tmp_path / "missing.png"
    paths = [str(missing), str(good), str(bad), str(good)]
    message = r"2 of 3 images cannot be read(.|\n)*no image .*missing(.|\n)*bad.*file is empty"
    with pytest.raises(ValueError, match=message):
        verify_images(paths, workers)
    verify_images([str(good)], workers)


@pytest.mark.parametrize("turned", ["frame", "map", "both"])
def test_a_turned_frame_and_its_foreground_map_fit(tmp_path, turned):
    """An upright map, as `annotate` writes it, belongs to a frame that a phone stored sideways."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 16, 3), dtype=np.uint8)
    person = np.zeros((32, 16), np.uint8)
    person[4:20, 3:9] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    clips = []
    for name in ("upright", turned):
        folder = tmp_path / name
        (folder / "maps/a").mkdir(parents=True)
        for kind, image, path in (
            ("frame", pixels, "a.png"),
            ("map", person, "maps/a/foreground.png"),
        ):
            if name in (kind, "both"):
                Image.fromarray(np.rot90(image).copy()).save(folder / path, exif=exif)
            else:
                Image.fromarray(image).save(folder / path)
        frame = str(folder / "a.png")
        supervision = {0: Supervision(foreground_dir=folder / "maps")}
        transform = ClipTransform(32, 16, training=False)
        items = [((frame,), 0, 0, 0)]
        data = TrainClips(items, 1, "random", 1, transform, 0, supervision, ["foreground"])
        clips.append(data[ItemKey(0, 0, 0)])
    assert clips[0]["foreground"].sum() == 16 * 6
    for field in ("img", "foreground"):
        assert torch.equal(clips[0][field], clips[1][field])
