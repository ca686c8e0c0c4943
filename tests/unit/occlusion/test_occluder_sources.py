import numpy as np
import pytest
from PIL import Image

from torchreid_occ.occlusion import tracklets
from torchreid_occ.occlusion.folder import Folder, list_cutouts
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.occlusion.sources import Hidden
from torchreid_occ.occlusion.things import Things
from torchreid_occ.occlusion.tracklets import Place, occlude_tracklet
from torchreid_occ.occwalk.obstacles import POOLS
from torchreid_occ.occwalk.occluders import WalkBounds

SIZES = [(64, 32), (80, 40), (100, 44), (64, 32), (64, 32), (60, 32), (64, 32), (64, 32)]


def hidden(subset, length=8):
    shift = np.zeros((length, 2))
    bounds = WalkBounds(8, 24, 4, 60, shift, (64, 32), pitch=0.2, light=1.0)
    return Hidden(0, 0, subset, bounds, 4, (90, 90, 90))


def write_cutout(path, size, colour=(10, 200, 10, 255), border=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", (size[0] + 2 * border, size[1] + 2 * border), (0, 0, 0, 0))
    image.paste(colour, (border, border, border + size[0], border + size[1]))
    image.save(path)


@pytest.fixture
def cutouts(tmp_path):
    for number in range(5):
        write_cutout(tmp_path / f"{number}.png", (40 + 10 * number, 50))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def names_of(source, subset):
    return {
        occluder.name
        for seed in range(60)
        for occluder in source.draw(np.random.default_rng(seed), hidden(subset))
    }


def test_kinds_of_things_differ_between_training_and_test():
    kinds = {pool: {each.draw.__name__ for each in obstacles} for pool, obstacles in POOLS.items()}
    for subset, pool in (("train", "train"), ("query", "test"), ("gallery", "test")):
        names = names_of(Things(seed=0), subset)
        assert names == {f"{pool} {kind}" for kind in (*kinds[pool], "passer-by")}


def test_every_second_cut_out_is_for_training(cutouts):
    assert [*list_cutouts(cutouts)["train"]] == ["0.png", "2.png", "4.png"]
    source = Folder(cutouts)
    assert names_of(source, "train") == {"0.png", "2.png", "4.png"}
    assert names_of(source, "query") == {"1.png", "3.png"}


def test_folders_choose_what_is_for_training(tmp_path):
    for name in ("train/a", "train/b", "test/c", "test/d"):
        write_cutout(tmp_path / f"{name}.png", (40, 50))
    assert names_of(Folder(tmp_path), "gallery") == {"test/c.png", "test/d.png"}


def test_what_is_upright_is_as_high_as_the_person(tmp_path):
    for number in range(4):
        write_cutout(tmp_path / f"{number}.png", (20, 80) if number < 2 else (60, 30))
    heights = {True: [], False: []}
    for subset in ("train", "query"):
        for seed in range(40):
            for each in Folder(tmp_path).draw(np.random.default_rng(seed), hidden(subset)):
                placed = next(filter(None, each.path))
                upright = each.name in ("0.png", "1.png")
                heights[upright].append((placed.bottom - placed.top) * 64 / 56)
    assert 0.95 <= min(heights[True]) <= max(heights[True]) <= 1.25
    assert 0.4 <= min(heights[False]) <= max(heights[False]) <= 0.75


@pytest.mark.parametrize(
    ("size", "colour", "border", "message"),
    [
        ((40, 50), (1, 1, 1, 255), 0, "has no transparency"),
        ((40, 50), (1, 1, 1, 50), 3, "has nothing in it"),
        ((400, 50), (1, 1, 1, 255), 3, "400 x 50 pixels, too wide"),
    ],
)
def test_cut_outs_that_cannot_be_used(cutouts, size, colour, border, message):
    write_cutout(cutouts / "0.png", size, colour, border)
    with pytest.raises(ValueError, match=message):
        Folder(cutouts)


def test_broken_cut_outs_and_too_few(cutouts):
    (cutouts / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r'Cannot decode image ".*1\.png"'):
        Folder(cutouts)
    (cutouts / "1.png").unlink()
    (cutouts / "2.png").unlink()
    with pytest.raises(ValueError, match="has 1 cut-outs for test tracklets, but needed are 2"):
        Folder(cutouts)
    Folder(cutouts, pools=["train"])
    with pytest.raises(FileNotFoundError, match="no folder of cut-outs"):
        Folder(cutouts / "none")


def occluded(length, num_occluded, sizes=SIZES, seed=0):
    frames = [np.full((*size, 3), 90, np.uint8) for size in sizes[:length]]
    bodies = []
    for height, width in sizes[:length]:
        body = np.zeros((height, width), bool)
        body[height // 10 : -height // 12, width // 4 : -width // 4] = True
        bodies.append(body)
    place = Place("query", 3, 0, 0)
    return occlude_tracklet(
        place, frames, bodies, num_occluded, Things(seed=0), Protocol(), seed
    ), frames


def test_frames_may_differ_in_size():
    found, frames = occluded(8, 4)
    for frame in found:
        assert frame.picture.shape == frames[frame.number].shape
        assert frame.visible.shape == frame.picture.shape[:2]
    assert 0.1 <= max(frame.share for frame in found) <= 0.8


@pytest.mark.parametrize(("length", "fewest"), [(1, 1), (2, 1), (3, 2), (8, 3)])
def test_short_tracklets_are_occluded_in_more_than_a_third(length, fewest):
    protocol = Protocol()
    assert protocol.fewest(length) == fewest
    number = protocol.draw_number(length, np.random.default_rng(0))
    found, _ = occluded(length, number)
    assert sum(frame.share >= 0.1 for frame in found) >= fewest


def test_wrong_shares():
    with pytest.raises(ValueError, match=r"gallery 1\.5, but expected a share from 0 to 1"):
        Protocol(gallery=1.5)
    with pytest.raises(ValueError, match=r"least_frames=0\.8, which is more than"):
        Protocol(least_frames=0.8)


def test_a_person_who_cannot_be_hidden_as_wanted_is_named(monkeypatch):
    monkeypatch.setattr(tracklets, "MAX_ATTEMPTS", 60)
    frames = [np.full((64, 32, 3), 90, np.uint8)] * 4
    body = np.zeros((64, 32), bool)
    body[30, 16] = True  # one pixel is hidden wholly or not at all
    place = Place("gallery", 7, 0, 0)
    with pytest.raises(ValueError, match=r"60 attempts.*tracklet gallery/00007.*look at its masks"):
        occlude_tracklet(place, frames, [body] * 4, 2, Things(seed=0), Protocol(), 0)
