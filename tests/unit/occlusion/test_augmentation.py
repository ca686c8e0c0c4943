import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.config import load_config
from torchreid_occ.data.clip_occluders import RawClip
from torchreid_occ.data.clips import ItemKey
from torchreid_occ.data.transforms import ClipTransform
from torchreid_occ.engine.clip_backend import ClipBackend
from torchreid_occ.occlusion.augmentation import RandomOccluders, occluder_maker
from torchreid_occ.occlusion.bodies import upright_ellipse
from torchreid_occ.occlusion.things import Things

GREY = 128


@pytest.fixture
def clip():
    frames = [Image.new("RGB", (32, 64), (GREY, GREY, GREY))] * 6
    return RawClip(frames, [upright_ellipse((32, 64))] * 5 + [None], pid=3, camid=1)


def test_something_moves_over_the_frames_and_the_foreground_loses_what_it_covers(clip):
    hidden_shares = []
    for seed in range(20):
        found = RandomOccluders(Things(seed=0), share=1.0)(clip, seed)
        changed = [np.asarray(frame) != GREY for frame in found.frames]
        number = sum(pixels.any() for pixels in changed)
        if not number:  # no occluder fitted
            continue
        assert len({pixels.tobytes() for pixels in changed}) > 1
        assert found.foregrounds[5] is None
        for pixels, before, after in zip(
            changed[:5], clip.foregrounds[:5], found.foregrounds[:5], strict=True
        ):
            lost = (np.asarray(before) > 127) & (np.asarray(after) <= 127)
            assert (np.asarray(after) <= np.asarray(before)).all()
            # An occluder may have the grey of the frame in places.
            assert pixels.any(2)[lost].mean() > 0.8 if lost.any() else True
            hidden_shares.append(lost.sum() / (np.asarray(before) > 127).sum())
    assert 0.5 < max(hidden_shares) <= 0.85
    assert np.mean(np.array(hidden_shares) > 0.1) > 0.3
    assert clip.foregrounds[0] == upright_ellipse((32, 64))


def test_draws_depend_on_the_seed_alone(clip):
    occlude = RandomOccluders(Things(seed=0), share=1.0)
    first, again, other = (occlude(clip, seed).frames for seed in (1, 1, 2))
    assert [*map(Image.Image.tobytes, first)] == [*map(Image.Image.tobytes, again)]
    assert [*map(Image.Image.tobytes, first)] != [*map(Image.Image.tobytes, other)]


def test_the_share_of_clips(clip):
    occlude = RandomOccluders(Things(seed=0), share=0.25)
    touched = [occlude(clip, seed) is not clip for seed in range(200)]
    assert 0.15 < np.mean(touched) < 0.35
    with pytest.raises(ValueError, match="Received share 2, but expected a share from 0 to 1"):
        RandomOccluders(Things(seed=0), share=2)


def manager(root, *settings):
    config = load_config(
        None,
        [
            "data.root", str(root), "data.sources", "['occwalk_tiny.clean']", "data.workers", "0",
            "data.height", "64", "data.width", "32", "test.select", "last",
            "data.transforms", "['random_occluders']", *settings,
        ],
    )  # fmt: skip
    return ClipBackend(config).build_datamanager()


def training_clip(root, *settings, epoch=0):
    """The first training clip of an epoch."""
    return manager(root, *settings)._clips[ItemKey(epoch, 0, 0)]


@pytest.mark.parametrize("source", ["people", "things"])
def test_the_configuration_chooses_it(occwalk_root, source):
    settings = (
        "data.supervision", "['foreground']", "data.occluders.source", source,
        "data.occluders.share", "1.0",
    )  # fmt: skip
    plain = training_clip(occwalk_root, *settings[:2], "data.transforms", "[]")
    occluded = training_clip(occwalk_root, *settings)
    assert plain["impath"] == occluded["impath"]
    assert (plain["img"] != occluded["img"]).any()
    assert occluded["foreground"].sum() < plain["foreground"].sum()
    again = training_clip(occwalk_root, *settings)
    assert torch.equal(occluded["img"], again["img"])


def test_people_need_masks(two_cameras):
    with pytest.raises(ValueError, match=r"no training dataset has any.*data\.foreground"):
        manager(
            two_cameras, "data.sources", "['sduvid']", "train.batch_size", "8",
            "sampler.num_instances", "2",
        )  # fmt: skip


def test_options_that_nothing_reads_are_refused():
    settings = "data.occluders.source", "things"
    with pytest.raises(ValueError, match="does not have random_occluders"):
        ClipBackend(load_config(None, settings)).check_parts()
    wrong = "data.transforms", "['random_occluders']", "data.occluders.kind", "things"
    with pytest.raises(KeyError, match=r"data\.occluders has no \['kind'\]"):
        ClipBackend(load_config(None, wrong)).check_parts()


def test_a_transform_without_an_occluder_is_refused():
    with pytest.raises(ValueError, match="needs an occluder"):
        ClipTransform(64, 32, ["random_occluders"], training=True)
    ClipTransform(64, 32, ["random_occluders"], training=False)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder of cut-outs"):
        occluder_maker(str(tmp_path / "none"))([], {})
