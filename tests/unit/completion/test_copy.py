import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support import write_two_cameras
from torch import nn

from torchreid_occ.completion.copy import (
    SUBSETS,
    CopyPlan,
    complete_frames,
    discard_frames,
    paste_thirds,
)
from torchreid_occ.completion.dataset import Completed
from torchreid_occ.completion.network import Completion
from torchreid_occ.data.copies import source_tracklets

SOURCE = {"name": "sduvid", "split_id": 0, "options": {}}
SIZE = (16, 8)


@pytest.fixture
def root(tmp_path):
    return write_two_cameras(tmp_path / "data", persons=4, frames=4)


@pytest.fixture
def tracklets(root):
    return source_tracklets(SOURCE, root)


@pytest.fixture
def occluded(tracklets):
    """The lower third of frame 1 of every tracklet, and all of the first query."""
    flags = {s: [np.zeros((len(item[0]), 3), bool) for item in tracklets[s]] for s in SUBSETS}
    for subset in SUBSETS:
        for rows in flags[subset]:
            rows[1, 2] = True
    flags["query"][0][:] = True
    return flags


class White(nn.Module):
    """Completes with white and counts its calls."""

    calls = 0

    def forward(self, frame, mask, previous, following):
        assert frame.shape == previous.shape == following.shape
        self.calls += 1
        return Completion(mask + (1 - mask) * frame, None)


def complete(folder, root, occluded, generator=None, made_by=None):
    generator = generator or White()
    plan = CopyPlan(folder, SOURCE, root, occluded, made_by or {"by": "test"})
    complete_frames(plan, generator, SIZE, workers=0)
    return generator


def test_a_copy_is_a_dataset_with_completed_thirds(root, tracklets, occluded, tmp_path):
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    complete(tmp_path / "copy", root, occluded)
    copy = Completed(root, path=tmp_path / "copy", verbose=False)
    for subset in SUBSETS:
        found, source = getattr(copy, subset), tracklets[subset]
        assert [item[1:3] for item in found] == [item[1:3] for item in source]
        for index, (paths, *_) in enumerate(found):
            flags = occluded[subset][index]
            for frame, (path, original) in enumerate(zip(paths, source[index][0], strict=True)):
                if not flags[frame].any():
                    assert path == original
                    continue
                pixels, expected = (np.asarray(Image.open(p)) for p in (path, original))
                assert pixels.shape == expected.shape == (32, 16, 3)
                if not flags[frame].all():
                    assert (pixels[:21] == expected[:21]).all()
                assert (pixels[21:] == 255).all()
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before


def test_a_manifest_says_what_was_replaced_and_by_what(root, occluded, tmp_path):
    complete(tmp_path / "copy", root, occluded, made_by={"checkpoint": "abc", "threshold": 0.9})
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    assert manifest["source"] == SOURCE
    assert manifest["made_by"] == {"checkpoint": "abc", "threshold": 0.9}
    assert manifest["changed"]["query"] == len(occluded["query"]) - 1 + 4
    path = manifest["frames"]["gallery"]["0"]["1"]
    assert (tmp_path / "copy" / path).is_file()


def test_a_killed_copy_goes_on_where_it_was(root, occluded, tmp_path):
    whole = complete(tmp_path / "whole", root, occluded)

    class Killed(White):
        def forward(self, *arguments):
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().forward(*arguments)

    with pytest.raises(KeyboardInterrupt):
        complete(tmp_path / "copy", root, occluded, Killed())
    assert not (tmp_path / "copy" / "manifest.json").exists()
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        Completed(root, path=tmp_path / "copy", verbose=False)
    # A run killed while it writes a tracklet leaves this folder.
    (tmp_path / "copy" / "query" / "00001.partial").mkdir(parents=True)
    rest = complete(tmp_path / "copy", root, occluded)
    assert rest.calls == whole.calls - 3
    files = {
        folder: {
            path.relative_to(tmp_path / folder): path.read_bytes()
            for path in (tmp_path / folder).rglob("*.*")
            if path.is_file()
        }
        for folder in ("whole", "copy")
    }
    assert files["copy"] == files["whole"]


def test_copies_are_not_mixed(root, occluded, tmp_path):
    complete(tmp_path / "copy", root, occluded)
    with pytest.raises(ValueError, match="begun with another made_by"):
        complete(tmp_path / "copy", root, occluded, made_by={"by": "another"})
    fewer = {**occluded, "train": [flags & False for flags in occluded["train"]]}
    with pytest.raises(ValueError, match="begun with another occluded"):
        complete(tmp_path / "copy", root, fewer)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no copy"):
        complete(tmp_path / "full", root, occluded)


def test_a_copy_of_a_changed_source_is_refused(root, occluded, tmp_path):
    complete(tmp_path / "copy", root, occluded)
    with pytest.raises(ValueError, match="is a copy of split 0 of sduvid"):
        Completed(root, split_id=1, path=tmp_path / "copy", verbose=False)
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    assert (
        Completed(moved, path=tmp_path / "copy", verbose=False)
        .query[1][0][0]
        .startswith(str(moved))
    )
    changed = next(moved.rglob("0002.png"))
    Image.new("RGB", (16, 32)).save(changed)
    with pytest.raises(ValueError, match=r"was made of sduvid as it was then.*Make the copy anew"):
        Completed(moved, path=tmp_path / "copy", verbose=False)


def test_discarding_leaves_frames_out_but_never_all(root, tracklets, occluded, tmp_path):
    discard_frames(CopyPlan(tmp_path / "copy", SOURCE, root, occluded, {"threshold": 0.9}))
    copy = Completed(root, path=tmp_path / "copy", verbose=False)
    assert copy.query[0][0] == tracklets["query"][0][0]
    for subset in SUBSETS:
        for index, (paths, *_) in enumerate(getattr(copy, subset)):
            source = tracklets[subset][index][0]
            if not occluded[subset][index].all():
                assert paths == (source[0], *source[2:])
    assert not list((tmp_path / "copy").rglob("*.png"))


def test_no_occlusion_changes_nothing(root, tracklets, occluded, tmp_path):
    none = {s: [flags & False for flags in occluded[s]] for s in SUBSETS}
    generator = complete(tmp_path / "copy", root, none)
    assert generator.calls == 0
    copy = Completed(root, path=tmp_path / "copy", verbose=False)
    assert [item[0] for item in copy.gallery] == [item[0] for item in tracklets["gallery"]]


def test_frames_keep_their_own_sizes():
    picture = Image.new("RGB", (7, 10), (10, 20, 30))
    filled = paste_thirds(picture, torch.ones(3, 4, 4), np.array([False, True, False]))
    pixels = np.asarray(filled)
    assert pixels.shape == (10, 7, 3)
    assert (pixels[3:7] == 255).all()
    assert (pixels[:3] == (10, 20, 30)).all()
    assert (pixels[7:] == (10, 20, 30)).all()


def test_copy_of_a_dataset_without_ground_truth_has_none(tmp_path, root, occluded):
    complete(tmp_path / "copy", root, occluded)
    copy = Completed(str(root), path=str(tmp_path / "copy"), verbose=False)
    assert copy.ground_truth() is None
