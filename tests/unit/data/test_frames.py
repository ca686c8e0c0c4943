"""What counts as a tracklet, and what is said of what does not."""

import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.data.frames import frames_of, read_frame

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 4, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name, pixels in zip(("9.png", "10.png", "11.png"), PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".12.png").touch()
    return tmp_path


def pixels_of(tracklet):
    return np.stack([np.asarray(read_frame(frame)) for frame in frames_of(tracklet)])


@pytest.mark.parametrize("kind", ["folder", "text", "paths", "arrays", "array", "view", "tensor"])
def test_every_kind_gives_the_same_pixels_in_natural_order(folder, kind):
    tracklet = {
        "folder": folder,
        "text": str(folder),
        "paths": [folder / "9.png", str(folder / "10.png"), folder / "11.png"],
        "arrays": list(PIXELS),
        "array": PIXELS,
        "view": PIXELS[..., ::-1].copy()[..., ::-1],  # BGR read as RGB
        "tensor": torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255,
    }[kind]
    assert np.array_equal(pixels_of(tracklet), PIXELS)


def test_frames_by_path_are_upright_as_arrays_are(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / f"{number}.png", exif=exif)
    assert np.array_equal(pixels_of(tmp_path), PIXELS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_all_values_of_a_pixel_come_back_from_a_tensor(dtype):
    values = torch.arange(256).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    found = pixels_of((values / 255).to(dtype))
    assert np.array_equal(found[0, ..., 1], values[0, 0].numpy())


def test_a_tensor_that_needs_a_gradient_is_read():
    assert pixels_of(torch.ones(1, 3, 2, 2, requires_grad=True)).min() == 255


@pytest.mark.parametrize(
    ("tracklet", "message"),
    [
        ([], "it has no frames"),
        (3, "received int, but expected a folder of images, a list"),
        (None, "received NoneType"),
        ([3.5], "a frame is float, but expected"),
        (PIXELS[0], r"uint8 and shape \(6, 4, 3\), but expected uint8 and \(T, H, W, 3\)"),
        (PIXELS[:0], r"shape \(0, 6, 4, 3\)"),
        (PIXELS[..., 0], r"shape \(3, 6, 4\)"),
        (PIXELS[..., :1], r"shape \(3, 6, 4, 1\)"),
        (np.concatenate((PIXELS, PIXELS[..., :1]), 3), r"shape \(3, 6, 4, 4\)"),
        (PIXELS / 255, "an array of float64"),
        (PIXELS.astype(int), "an array of int64"),
        ([PIXELS[0], PIXELS[0][..., 0]], r"\(6, 4\), but expected uint8 and \(H, W, 3\)"),
        (torch.from_numpy(PIXELS), r"a tensor of torch.uint8 and shape \(3, 6, 4, 3\)"),
        (torch.zeros(2, 1, 4, 4), r"shape \(2, 1, 4, 4\), but expected floating point and \(T, 3"),
        (torch.zeros(2, 4, 4, 4), r"shape \(2, 4, 4, 4\)"),
        (torch.zeros(3, 4, 4), r"shape \(3, 4, 4\)"),
        (torch.zeros(0, 3, 4, 4), r"shape \(0, 3, 4, 4\)"),
        (torch.full((1, 3, 2, 2), 255.0), "values from 255 to 255, but expected 0 to 1"),
        (torch.tensor([-0.1, 1.0, 0.5]).view(1, 3, 1, 1), "values from -0.1 to 1, but"),
        (torch.tensor([0.1, torch.nan, 0.5]).view(1, 3, 1, 1), "values from nan to nan"),
    ],
)
def test_what_is_no_tracklet_is_refused_with_what_it_is(tracklet, message):
    with pytest.raises(ValueError, match=message):
        frames_of(tracklet)


def test_folders_and_files_that_are_not_there_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent"):
        frames_of(folder / "absent")
    with pytest.raises(FileNotFoundError, match=r"there is no image .*12\.png"):
        frames_of([folder / "9.png", folder / "12.png"])
    with pytest.raises(ValueError, match=r"9\.png is a file, but expected a folder of images"):
        frames_of(folder / "9.png")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no images \(\.jpg, \.jpeg, \.png, \.bmp\)"):
        frames_of(folder / "empty")
