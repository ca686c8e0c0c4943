"""The data set of a rendering, its ground truth and its statistics."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_rendering import SMALLER

from torchreid_occ.data.copies import MANIFEST, fingerprint, source_tracklets
from torchreid_occ.data.datasets import VIDEO_DATASETS
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.ground_truth import (
    Twin,
    ground_truth_of,
    occlusion_labels,
)
from torchreid_occ.data.images import read_image
from torchreid_occ.data.truth_by_name import load_ground_truth
from torchreid_occ.occwalk import PRESETS, VERSION, OccWalkTiny, OccWalkTinyClean
from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.files import write_tracklet
from torchreid_occ.occwalk.frozen import FROZEN
from torchreid_occ.occwalk.preview import contact_sheet
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import render_tracklet
from torchreid_occ.occwalk.stats import describe, read_fractions

TINY = PRESETS["occwalk_tiny"]
# Hashes of some tracklets of seed 0, training and test ones.
FROZEN_TRACKLETS = {
    "occwalk_tiny": [
        "d34fd937b732bad02c60ce32a8d784bab87b40a19ae00fc8f900227f698c28c0",
        "b1a980631d1c4ac67f4ce4299280f2914892ff70fabee82bc6606ee666afd4fc",
        "6eda07ea6f5abdc629fe9cbf97a4226c3eb814290db02d5cc55ec4fd38d83092",
        "65c15ca6d3692fb779843ba6a907482fc05babb9ef5a1863c358e7c0cc87cfca",
    ],
    "occwalk_small": [
        "497a0ce3f99bc2225abe56721f007fe3c53f778700920ad33200bd263e239ced",
        "39f19a59e6ee68ce0489b1966e57a47157d688492c60eac170961b9ff4888fca",
        "aa5ae8568614214b075027639cb3ee090774a85acb59b125b915006bbcfb6778",
    ],
    "occwalk_full": [
        "792fed6743401977e45b4b903cffa17caddadae2e8711fb33f7b87aedf53e383",
        "df3d1867225238bf51f5718db562038806bf049e49965a43ac21435da1bc47a5",
        "a5167109251769eeb05fe22aba599657e264d68e44191113f15d2db7bef90bf1",
        "2a9d0bf17d19a6ba744685ac386586aad569c55e17fce4ba846a9440ab0655ac",
    ],
}


def test_dataset_lists_what_was_rendered(occwalk_root):
    dataset = OccWalkTiny(root=str(occwalk_root), verbose=False)
    specs = list_tracklets(TINY, 0)
    for split in ("train", "query", "gallery"):
        items, expected = getattr(dataset, split), [s for s in specs if s.split == split]
        assert [len(item[0]) for item in items] == [spec.num_frames for spec in expected]
        assert [item[2] for item in items] == [spec.camid for spec in expected]
        assert [Path(item[0][-1]).stem for item in items] == [spec.stems[-1] for spec in expected]
    assert {item[1] for item in dataset.train} == set(range(16))
    assert {item[1] for item in dataset.query} == set(range(17, 33))
    assert {item[1] for item in dataset.gallery} == set(range(17, 37))
    assert dataset.num_train_cams == 3


def test_a_split_of_torchreids_is_a_seed(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "occwalk_tiny", SMALLER)
    asked = OccWalkTiny(root=str(tmp_path), split_id=5, verbose=False)
    assert asked.dataset_dir.name == f"smaller-v{VERSION}-s5"
    given = OccWalkTiny(root=str(tmp_path), split_id=4, seed=5, verbose=False)
    assert given.train == asked.train


def test_every_preset_is_a_dataset_with_a_clean_variant():
    expected = {(name, False): name for name in PRESETS}
    expected |= {(name, True): f"{name}.clean" for name in PRESETS}
    found = {name: cls for name, cls in VIDEO_DATASETS.items() if name.startswith("occwalk")}
    assert {(cls.preset, cls.clean): name for name, cls in found.items()} == expected


def test_clean_variant_is_the_same_tracklets_without_occluders(occwalk_root):
    occluded, clean = (
        cls(root=str(occwalk_root), verbose=False) for cls in (OccWalkTiny, OccWalkTinyClean)
    )
    data = str(occluded.dataset_dir)
    for split in ("train", "query", "gallery"):
        assert getattr(clean, split) == [
            (tuple(p.replace(data, f"{data}/ground_truth/clean") for p in paths), *rest)
            for paths, *rest in getattr(occluded, split)
        ]
    spec = next(spec for spec in list_tracklets(TINY, 0) if spec.split == "query")
    frames = np.stack([read_image(path) for path in clean.query[0][0]]).astype(int)
    tracklet = render_tracklet(spec, TINY, 0)
    hidden = (tracklet.whole > 0) & (tracklet.visible == 0)
    assert np.abs(frames - tracklet.clean[..., ::-1])[hidden].mean() < 12  # JPEG
    assert np.abs(frames - tracklet.frames[..., ::-1])[hidden].mean() > 30
    whole = [clean.supervision().foreground(path) for path in clean.query[0][0]]
    np.testing.assert_array_equal(np.stack(whole), tracklet.whole)


def test_supervision_is_the_truth(occwalk_root):
    dataset = OccWalkTiny(root=str(occwalk_root), verbose=False)
    supervision = dataset.supervision()
    spec = next(spec for spec in list_tracklets(TINY, 0) if spec.split == "query")
    tracklet = render_tracklet(spec, TINY, 0)
    for frame, path in enumerate(dataset.query[0][0]):
        np.testing.assert_allclose(
            supervision.keypoints(path), tracklet.keypoints[frame], atol=1e-6
        )
        np.testing.assert_array_equal(supervision.foreground(path), tracklet.visible[frame])
        difference = np.asarray(read_image(path), int) - tracklet.frames[frame][..., ::-1]
        assert np.abs(difference).mean() < 12  # JPEG


def test_both_twins_know_the_ground_truth_of_the_occluded_frames(occwalk_root):
    datasets = [
        cls(root=str(occwalk_root), verbose=False) for cls in (OccWalkTiny, OccWalkTinyClean)
    ]
    truth, of_clean = map(ground_truth_of, datasets)
    assert (truth.clean, truth.occluded) == (Twin("occwalk_tiny.clean"), None)
    assert (of_clean.clean, of_clean.occluded) == (None, Twin("occwalk_tiny"))
    spec = next(spec for spec in list_tracklets(TINY, 0) if spec.split == "query")
    fractions = render_tracklet(spec, TINY, 0).fractions
    for own, dataset in zip((truth, of_clean), datasets, strict=True):
        paths = dataset.query[0][0]
        assert own.query_tracklets()[0] == paths
        np.testing.assert_allclose(list(map(own.hidden_share, paths)), fractions, atol=1e-6)
        np.testing.assert_array_equal(
            own.whole().foreground(paths[0]), datasets[1].supervision().foreground(paths[0])
        )
        labels = own.query_labels()
        assert labels.shape == (len(dataset.query),)
        assert labels[0] == occlusion_labels(np.array([fractions.mean()]))[0] > 0
    means = [tracklet.mean() for tracklet in read_fractions(datasets[0].dataset_dir)["query"]]
    np.testing.assert_array_equal(truth.query_labels(), occlusion_labels(np.array(means)))
    by_name = load_ground_truth("occwalk_tiny", occwalk_root, split_id=1, options={"seed": 0})
    assert by_name.clean == Twin("occwalk_tiny.clean", {"seed": 0})
    np.testing.assert_array_equal(by_name.query_labels(), truth.query_labels())


def test_completed_copy_has_the_ground_truth_of_its_source(occwalk_root, tmp_path):
    source = {"name": "occwalk_tiny", "split_id": 0, "options": {}}
    tracklets = source_tracklets(source, str(occwalk_root))
    manifest = {
        "source": source,
        "fingerprint": fingerprint(tracklets),
        "frames": {subset: {} for subset in SUBSETS},
    }
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    truth = load_ground_truth("completed", occwalk_root, options={"path": str(tmp_path)})
    assert truth.clean == Twin("occwalk_tiny.clean")
    assert truth.query_tracklets() == [paths for paths, *_ in tracklets["query"]]


def test_ground_truth_lies_beside_the_frames(occwalk_root):
    folder = occwalk_root / "occwalk" / f"occwalk_tiny-v{VERSION}-s0"
    occlusion = json.loads((folder / "ground_truth/occlusion.json").read_text())
    spec = next(spec for spec in list_tracklets(TINY, 0) if spec.split == "query")
    tracklet = render_tracklet(spec, TINY, 0)
    labels = occlusion_labels(tracklet.fractions)
    for frame, stem in enumerate(spec.stems):
        assert occlusion[f"{stem}.jpg"] == [
            labels[frame],
            pytest.approx(tracklet.fractions[frame], abs=1e-6),
        ]
        whole = read_image(folder / "ground_truth/whole" / stem / "foreground.png", "L")
        np.testing.assert_array_equal(whole, tracklet.whole[frame])
        clean = read_image(folder / "ground_truth/clean" / spec.folder / f"{stem}.jpg")
        assert np.abs(np.asarray(clean, int) - tracklet.clean[frame][..., ::-1]).mean() < 12


@pytest.mark.parametrize("preset", ["occwalk_tiny", "occwalk_small", "occwalk_full"])
def test_tracklets_are_the_frozen_ones(tmp_path, preset):
    # The larger presets whole take too long here: small is below, among the slow tests.
    specs = list_tracklets(PRESETS[preset], 0)
    found = [
        write_tracklet(tmp_path, spec, PRESETS[preset], 0)["sha256"]
        for spec in specs[:: len(specs) // 3]
    ]
    assert found == FROZEN_TRACKLETS[preset]


def test_whole_rendering_is_the_frozen_one(occwalk_root):
    manifest = occwalk_root / "occwalk" / f"occwalk_tiny-v{VERSION}-s0" / "manifest.json"
    found = json.loads(manifest.read_text())["sha256"]
    assert found == FROZEN[VERSION, "occwalk_tiny", 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 200])
def test_whole_small_rendering_is_the_frozen_one(tmp_path, seed):
    folder = build(PRESETS["occwalk_small"], seed, str(tmp_path))
    found = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert found == FROZEN[VERSION, "occwalk_small", seed]


def test_statistics_stand_beside_the_papers(occwalk_root):
    text = describe(occwalk_root / "occwalk" / f"occwalk_tiny-v{VERSION}-s0")
    assert "gallery     87 tracklets" in text
    table_1, table_2 = (
        {line[:20].strip(): list(map(float, line[20:].split())) for line in table.splitlines()[2:]}
        for table in text.split("\n\n")[1:]
    )
    assert list(table_1) == list(table_2)
    assert table_1["query, paper"][1:4] == [0, 1.1, 2.1]
    assert table_1["query, OccWalk"][:2] == [0, 0]
    np.testing.assert_allclose(table_1["gallery, OccWalk"], table_1["gallery, paper"], atol=6)
    np.testing.assert_allclose(table_2["gallery, OccWalk"], table_2["gallery, paper"], atol=12)
    for split in ("train", "query", "gallery"):
        for table in (table_1, table_2):
            assert sum(table[f"{split}, OccWalk"]) == pytest.approx(100, abs=0.6)


def test_contact_sheet_draws_the_truth():
    plain, drawn = (contact_sheet(SMALLER, 0, 2, 3, overlay) for overlay in (False, True))
    assert plain.shape == drawn.shape == (2 * 2 * 128, 3 * 2 * 64, 3)
    assert 0.1 < np.mean(np.any(plain != drawn, axis=-1)) < 0.7


def test_contact_sheet_of_large_frames_runs_through_the_whole_tracklet():
    full = PRESETS["occwalk_full"]
    short, long = (
        contact_sheet(replace(full, frames=(length, length)), 0, 1, 4) for length in (4, 8)
    )
    assert short.shape == long.shape == (256, 4 * 128, 3)
    assert long.any(axis=(0, 2)).all()
