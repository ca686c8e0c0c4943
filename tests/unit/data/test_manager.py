import dataclasses
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from torchreid_occ.data.datasets import VIDEO_DATASETS, TrackletDataset
from torchreid_occ.data.manager import ClipDataManager, ClipOptions
from torchreid_occ.data.supervision import Supervision


class Toy(TrackletDataset):
    """Toy data. Source: nowhere."""

    built = 0
    pids = range(4)

    def __init__(self, root="", split_id=0, own=False, **kwargs):
        type(self).built += 1
        self.own = own
        super().__init__(root, split_id, **kwargs)

    def read(self, split_id):
        return (
            [self.tracklet(pid, cam) for pid in self.pids for cam in (0, 1)],
            [self.tracklet(8, 0), self.tracklet(9, 1, num_frames=3)],
            [self.tracklet(8, 1), self.tracklet(9, 0, num_frames=1), self.tracklet(-1, 0)],
        )

    def tracklet(self, pid, camid, num_frames=5):
        paths = [
            str(self.dataset_dir / f"{type(self).__name__}_{pid}_{camid}_{t}.png")
            for t in range(num_frames)
        ]
        for path in paths:
            if not Path(path).exists():
                rng = np.random.default_rng([pid + 1, camid])
                Image.fromarray(rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)).save(path)
        return tuple(paths), pid, camid

    def supervision(self):
        return Supervision(self.dataset_dir / "keypoints.json") if self.own else None


class Other(Toy):
    """A second dataset."""

    pids = range(2)


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setitem(VIDEO_DATASETS, "toy", Toy)
    monkeypatch.setitem(VIDEO_DATASETS, "other", Other)
    for name in ("Toy", "Other"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(Toy, "dataset_dir", "Toy")
    monkeypatch.setattr(Other, "dataset_dir", "Other")
    monkeypatch.setattr(Toy, "built", 0)

    def build(**kwargs):
        arguments = {
            "root": str(tmp_path),
            "sources": "toy",
            "height": 32,
            "width": 16,
            "batch_size_train": 4,
            "num_instances": 2,
            "seq_len": 3,
            "test_clip_len": 2,
            "workers": 0,
            "transforms": ["random_flip", "random_crop", "color_jitter", "random_erase"],
        }
        arguments |= kwargs
        names = arguments.keys() & {field.name for field in dataclasses.fields(ClipOptions)}
        options = ClipOptions(**{name: arguments.pop(name) for name in names})
        return ClipDataManager(**arguments, options=options)

    return build


def assert_equal_batches(first, second):
    assert len(first) == len(second) > 0
    for one, two in zip(first, second, strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(value, two[name], rtol=0, atol=0, equal_nan=True)
            else:
                assert value == two[name]


def test_batches_have_torchreids_shape(build):
    manager = build()
    batch = next(iter(manager.train_loader))
    assert batch["img"].shape == (4, 3, 3, 32, 16)
    assert sorted(batch) == ["camid", "dsetid", "img", "impath", "pid"]
    assert len(batch["pid"].unique()) == 2
    assert [len(paths) for paths in batch["impath"]] == [3] * 4
    for paths, pid in zip(batch["impath"], batch["pid"].tolist(), strict=True):
        assert all(f"Toy_{pid}_" in path for path in paths)
    assert len(manager.train_loader) == 2
    assert (manager.num_train_pids, manager.num_train_cams) == (4, 2)
    assert manager.data_type == "video"
    assert manager.sources == manager.targets == ["toy"]
    assert manager.val_loader is None


def test_each_dataset_is_built_once(build):
    build(sources=["toy"], targets=["toy"])
    assert Toy.built == 1


def test_workers_change_nothing(build, tmp_path):
    names = [f"Toy_{pid}_0_{t}.png" for pid in range(4) for t in range(5)]
    lines = {name: [0.2, 0.5, 0.7, i / 20] for i, name in enumerate(names)}
    (tmp_path / "k.json").write_text(json.dumps(lines))
    (tmp_path / "maps" / "Toy_0_0_0").mkdir(parents=True)
    Image.new("L", (16, 32), 255).save(tmp_path / "maps" / "Toy_0_0_0" / "foreground.png")

    def epochs(workers):
        manager = build(
            workers=workers,
            supervision=("keypoints", "foreground"),
            keypoints=str(tmp_path / "k.json"),
            foreground=str(tmp_path / "maps"),
        )
        train = []
        for epoch in (0, 1, 2):  # with persistent workers from the second on
            manager.set_epoch(epoch)
            train += list(manager.train_loader)
        return train + list(manager.test_loader["toy"]["gallery"])

    alone = epochs(0)
    assert not any(torch.equal(alone[0]["img"], batch["img"]) for batch in alone[2:6])
    foreground = torch.cat([batch["foreground"] for batch in alone[:6]])
    assert foreground.isnan().any()
    assert not foreground.isnan().all()
    assert_equal_batches(alone, epochs(1))
    assert_equal_batches(alone, epochs(2))


def test_loaders_leave_the_global_state_alone(build):
    torch.manual_seed(0)
    random.seed(0)
    manager = build()
    states = torch.get_rng_state(), random.getstate()
    list(manager.train_loader)
    list(manager.test_loader["toy"]["query"])
    manager.set_epoch(1)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


def test_test_batches_cover_every_frame(build):
    manager = build(batch_size_test=2)
    query, gallery = manager.fetch_test_loaders("toy")
    assert [item[1:3] for item in query] == [(8, 0), (9, 1)]
    assert [item[1:3] for item in gallery] == [(8, 1), (9, 0), (-1, 0)]
    seen = {}
    for batch in manager.test_loader["toy"]["gallery"]:
        assert batch["img"].shape[:2] == (len(batch["pid"]), batch["num_frames"][0])
        assert len(batch["num_frames"].unique()) == 1
        assert batch["num_frames"].sum() <= 4
        for row, index in enumerate(batch["tracklet"].tolist()):
            assert batch["pid"][row] == gallery[index][1]
            seen.setdefault(index, []).extend(batch["impath"][row])
    assert {index: tuple(sorted(paths)) for index, paths in seen.items()} == {
        index: item[0] for index, item in enumerate(gallery)
    }


def test_test_frames_are_not_augmented(build):
    manager = build(test_clip_len=0, batch_size_test=1)
    first = list(manager.test_loader["toy"]["query"])
    assert first[0]["img"].shape == (1, 5, 3, 32, 16)
    img = manager.transform_te([Image.open(path) for path in first[0]["impath"][0]])[0]
    assert torch.equal(first[0]["img"][0], img)


def test_several_sources_share_no_label(build):
    manager = build(sources=["toy", "other"], targets="toy")
    assert (manager.num_train_pids, manager.num_train_cams) == (6, 4)
    labels = {(Path(item[0][0]).parent.name, *item[1:]) for item in manager.train_dataset}
    assert labels == {("Toy", pid, cam, 0) for pid in range(4) for cam in (0, 1)} | {
        ("Other", pid + 4, cam + 2, 1) for pid in range(2) for cam in (0, 1)
    }
    assert list(manager.test_loader) == ["toy"]


def test_held_out_identities_are_served_as_validation(build):
    manager = build(val_identities=2)
    assert manager.num_train_pids == 2
    assert {pid for _, pid, *_ in manager.train_dataset} == {0, 1}
    kept = {paths[0] for paths, *_ in manager.train_dataset}
    assert kept.isdisjoint(paths[0] for paths, *_ in manager.val_dataset)
    frames = [path for batch in manager.val_loader for path in batch["impath"]]
    assert sum(map(len, frames)) == 4 * 5


def test_cut_tracklets_find_their_supervision(build, tmp_path):
    lines = {
        f"Toy_{pid}_{camid}_{t}.png": [t / 10] * 4
        for pid in range(4)
        for camid in (0, 1)
        for t in range(5)
    }
    (tmp_path / "k.json").write_text(json.dumps(lines))
    options = {"keypoints": str(tmp_path / "k.json"), "supervision": ("keypoints",)}
    manager = build(train_cut=2, train_sampling="consecutive", transforms=[], **options)
    assert [len(paths) for paths, *_ in manager.train_dataset] == [2, 3] * 8
    assert (manager.num_train_pids, manager.num_train_cams) == (4, 2)
    assert [len(paths) for paths, *_ in manager.test_dataset["toy"]["query"]] == [5, 3]
    whole = {paths for paths, *_ in build().train_dataset}
    for batch in manager.train_loader:
        for paths, known in zip(batch["impath"], batch["keypoints"], strict=True):
            frames = [int(path[-5]) for path in paths]
            assert set(frames) <= {0, 1} or set(frames) <= {2, 3, 4}
            assert any(set(paths) <= set(tracklet) for tracklet in whole)
            np.testing.assert_allclose(known[:, 0], np.array(frames) / 10, rtol=1e-6)


def test_options_of_batches_and_frames_reach_their_places(build):
    manager = build(min_frames=5, across_cameras=True, interpolation="bicubic")
    for batch in manager.train_loader:
        assert {*batch["camid"][:2].tolist()} == {*batch["camid"][2:].tolist()} == {0, 1}
    clips = manager.train_loader.dataset
    assert clips.transform.interpolation == manager.transform_te.interpolation == "bicubic"
    assert build().transform_te.interpolation == "bilinear"
    with pytest.raises(ValueError, match="None of 8 training tracklets has 6 frames"):
        build(min_frames=6)


def test_supervision_of_the_dataset_comes_first(build, tmp_path):
    (tmp_path / "Toy" / "keypoints.json").write_text('{"Toy_0_0_0.png": [0.1, 0.1, 0.1, 0.1]}')
    (tmp_path / "k.json").write_text('{"Other_0_0_0.png": [0.3, 0.3, 0.3, 0.3]}')
    options = {"dataset_options": {"toy": {"own": True}}, "supervision": ("keypoints",)}
    manager = build(sources=["toy", "other"], keypoints=str(tmp_path / "k.json"), **options)
    found = manager.train_loader.dataset.supervision
    assert found[0].keypoints("Toy_0_0_0.png")[0] == np.float32(0.1)
    assert found[1].keypoints("Other_0_0_0.png")[0] == np.float32(0.3)
    assert next(iter(manager.train_loader))["keypoints"].shape == (4, 3, 4)
    with pytest.raises(ValueError, match=r"would not be read: every source of \['toy'\]"):
        build(keypoints=str(tmp_path / "k.json"), **options)


def test_wrong_supervision_says_what_to_set(build, tmp_path):
    (tmp_path / "k.json").write_text("{}")
    with pytest.raises(ValueError, match=r"Unknown data.supervision \['masks'\]"):
        build(supervision=("masks",))
    with pytest.raises(ValueError, match=r"'foreground', but no source .* set data\.foreground to"):
        build(supervision=("keypoints", "foreground"), keypoints=str(tmp_path / "k.json"))


def test_supervision_that_matches_no_frame_is_a_mistake(build, tmp_path):
    (tmp_path / "k.json").write_text('{"folder/Toy_0_0_0.png": [0.1, 0.1, 0.1, 0.1]}')
    with pytest.raises(ValueError, match=r"'keypoints', but it is known of none of 40 .*Toy_"):
        build(supervision=("keypoints",), keypoints=str(tmp_path / "k.json"))


def test_verify_decodes_foreground_maps_too(build, tmp_path):
    folder = tmp_path / "maps" / "Toy_0_0_0"
    folder.mkdir(parents=True)
    (folder / "foreground.png").write_bytes(b"no image")
    manager = build(supervision=("foreground",), foreground=str(tmp_path / "maps"))
    with pytest.raises(ValueError, match=r"1 of \d+ images cannot be read(.|\n)*foreground\.png"):
        manager.verify(workers=1)


def test_file_names_must_differ_for_supervision(build, tmp_path, monkeypatch):
    subsets = [[((f"{pid}/{cam}.png",), pid, cam) for pid in range(3)] for cam in (0, 0, 1)]
    monkeypatch.setattr(Toy, "read", lambda self, split_id: subsets)
    (tmp_path / "k.json").write_text("{}")
    assert build().num_train_pids == 3
    with pytest.raises(ValueError, match=r'3 training frames are named "0\.png"'):
        build(supervision=("keypoints",), keypoints=str(tmp_path / "k.json"))
    (tmp_path / "k.json").write_text('{"0/0.png": [0.1, 0.1, 0.1, 0.1]}')
    assert build(supervision=("keypoints",), keypoints=str(tmp_path / "k.json"))


def test_unfit_arguments_say_what_to_set(build):
    with pytest.raises(ValueError, match=r"set data\.sources"):
        build(sources=None)
    with pytest.raises(ValueError, match=r"datasets \['mars'\], but used are \['toy'\]"):
        build(dataset_options={"mars": {}})
    with pytest.raises(ValueError, match=r"Unknown options \['x'\] of dataset 'toy': .*\['own'\]"):
        build(dataset_options={"toy": {"x": 1}})
    with pytest.raises(ValueError, match=r"needs 8 identities .* there are 4"):
        build(batch_size_train=16)
    with pytest.raises(ValueError, match=r"epoch of 8 clips .* one batch of 16"):
        build(batch_size_train=16, train_sampler="RandomSampler")
    with pytest.raises(ValueError, match=r"test\.select last"):
        build(val_identities=4)


def test_verify_names_the_broken_files_at_once(build):
    manager = build()
    manager.verify(workers=2)
    train = manager.train_dataset[0][0]
    for path in train[:3]:
        os.truncate(path, 0)
    gallery = manager.test_dataset["toy"]["gallery"][2][0]
    for path in gallery + manager.test_dataset["toy"]["query"][0][0]:
        os.truncate(path, 70)
    with pytest.raises(ValueError, match=r"13 of \d+ images cannot be read") as error:
        manager.verify(workers=2)
    assert str(error.value).count("Cannot decode image") == 10
    assert f'"{train[0]}": the file is empty' in str(error.value)
