import json
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image
from support import REPOSITORY, write_masks

from torchreid_occ.data.copies import fingerprint
from torchreid_occ.data.ground_truth import ground_truth_of
from torchreid_occ.data.supervision import supervision_of
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.occlusion import tracklets
from torchreid_occ.occlusion.occlude import occlude_dataset
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.studies.true_clips import load_true_dataset

SOURCE = "occwalk_tiny.clean"


@pytest.fixture(scope="module")
def copy(occwalk_root, copy_folder):
    return load_dataset("occluded", occwalk_root, options={"path": copy_folder})


@pytest.fixture(scope="module")
def source(occwalk_root):
    return tracklets_of(load_dataset(SOURCE, occwalk_root))


@pytest.fixture(scope="module")
def manifest(copy_folder):
    return json.loads((copy_folder / "manifest.json").read_text())


def occluded_frames(copy):
    """Path of each occluded frame with its tracklet, subset and pid."""
    truth = ground_truth_of(copy)
    return [
        (path, subset, pid, camid)
        for subset, items in tracklets_of(copy).items()
        for paths, pid, camid, _ in items
        for path in paths
        if truth.occluders(path)
    ]


def test_only_occluded_frames_are_new_files(copy, source, copy_folder):
    truth = ground_truth_of(copy)
    for subset, items in tracklets_of(copy).items():
        for (paths, *own), (originals, *theirs) in zip(items, source[subset], strict=True):
            assert own == theirs
            for path, original in zip(paths, originals, strict=True):
                changed = path != original
                assert changed == bool(truth.occluders(path))
                assert changed == path.startswith(str(copy_folder))
                if not changed:
                    assert truth.hidden_share(path) == 0


def test_shares_are_those_of_the_protocol(copy):
    truth = ground_truth_of(copy)
    protocol = Protocol()
    for subset, items in tracklets_of(copy).items():
        shares = [np.array([truth.hidden_share(path) for path in paths]) for paths, *_ in items]
        occluded = [rows for rows in shares if rows.any()]
        assert len(occluded) == round(getattr(protocol, subset) * len(items))
        for rows in occluded:
            assert 3 * (rows >= 0.1).sum() > len(rows)
            assert 0.1 <= rows.max() <= 0.8
    assert (truth.query_labels() > 0).all()


def test_the_hidden_share_is_what_the_masks_say(copy):
    truth, visible = ground_truth_of(copy), supervision_of(copy)
    whole = truth.whole()
    for path, *_ in occluded_frames(copy)[::25]:
        seen, all_of_it = (np.asarray(masks.foreground(path)) > 127 for masks in (visible, whole))
        assert not (seen & ~all_of_it).any()
        share = 1 - seen.sum() / all_of_it.sum()
        assert truth.hidden_share(path) == pytest.approx(share, abs=1e-6)


def test_what_is_hidden_differs_from_the_source_and_the_rest_does_not(copy, source):
    truth, visible = ground_truth_of(copy), supervision_of(copy)
    pairs = [
        (path, original)
        for subset, items in tracklets_of(copy).items()
        for (paths, *_), (originals, *_) in zip(items, source[subset], strict=True)
        for path, original in zip(paths, originals, strict=True)
        if truth.hidden_share(path) > 0.2
    ]
    for path, original in pairs[::40]:
        one, other = (np.asarray(Image.open(p)).astype(int) for p in (path, original))
        seen, whole = (np.asarray(m.foreground(path)) > 127 for m in (visible, truth.whole()))
        difference = np.abs(one - other).mean(2)
        assert difference[whole & ~seen].mean() > 15
        # JPEG changes pixels of the blocks that the occluder is in.
        touched = cv2.dilate((difference > 30).astype(np.uint8), np.ones((31, 31), np.uint8))
        assert (difference[seen & (touched == 0)] < 12).all()


def test_people_hide_neither_themselves_nor_those_of_their_camera_nor_of_the_other_set(
    copy, source
):
    frames = occluded_frames(copy)
    assert len({subset for _, subset, *_ in frames}) == 3
    truth = ground_truth_of(copy)
    for path, subset, pid, camid in frames:
        for name in truth.occluders(path):
            donors, number = name.split("/")
            _, donor_pid, donor_camid, _ = source[donors][int(number)]
            assert (donors == "train") == (subset == "train")
            assert donor_pid != pid
            assert donor_camid != camid


def test_frames_are_coded_as_the_sources_are(copy, source):
    originals = {path for items in source.values() for paths, *_ in items for path in paths}
    by_name = {path.rpartition("/")[2]: path for path in originals}
    for path, *_ in occluded_frames(copy)[::50]:
        original = by_name[path.rpartition("/")[2].partition("_")[2]]
        with Image.open(path) as one, Image.open(original) as other:
            assert (one.format, one.size) == (other.format, other.size)
            assert one.quantization == other.quantization
            assert one.layer == other.layer


def test_the_manifest_says_what_the_copy_is_of_and_how_it_was_made(manifest, source, copy_folder):
    assert manifest["source"] == {"name": SOURCE, "split_id": 0, "options": {}}
    assert manifest["fingerprint"] == fingerprint(source)
    assert (manifest["version"], manifest["seed"]) == (1, 0)
    assert manifest["protocol"] == Protocol().plain()
    assert manifest["occluders"] == {"kind": "people"}
    assert {*manifest["versions"]} == {"torchreid_occ", "numpy", "opencv", "pillow"}
    frames = manifest["frames"]
    for subset, count in manifest["changed"].items():
        assert count == sum(map(len, frames[subset].values()))
        assert all((copy_folder / f).is_file() for t in frames[subset].values() for f in t.values())


def test_version_1_of_the_copies_is_frozen(manifest):
    """Another hash is another benchmark: raise `draws.VERSION` and mend docs/occlusion.md."""
    assert manifest["sha256"] == {
        "train": "500c4aa5aada160f28472ba8383a2fe7fa17dd793da0abf2b79a720d13378e31",
        "query": "311762100d28e25acabe2884ca3272d5706976babf096ff475ea53968c014475",
        "gallery": "42d5a3fe52e78392b76a06e3f15709b7bd6fa7b65a13c77704ea1d33263a42f5",
    }
    page = (REPOSITORY / "docs/occlusion.md").read_text(encoding="utf-8")
    assert all(digest in page for digest in manifest["sha256"].values())


def test_another_seed_gives_another_copy(two_cameras, tmp_path):
    masks = write_masks(two_cameras, tmp_path / "masks")
    found = []
    for seed in range(2):
        folder = tmp_path / str(seed)
        occlude_dataset(
            "sduvid", two_cameras, folder, masks=masks, occluders="things", parts=["query"],
            seed=seed, workers=0,
        )  # fmt: skip
        found.append(json.loads((folder / "manifest.json").read_text())["sha256"])
    assert found[0].keys() == found[1].keys() == {"query"}
    assert found[0] != found[1]


def test_a_part_that_was_killed_and_continued_is_the_same_to_the_byte_as_in_the_whole_copy(
    occwalk_root, copy_folder, manifest, tmp_path, monkeypatch
):
    calls = []
    paint = tracklets.paint

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return paint(*arguments)

    folder = tmp_path / "copy"
    monkeypatch.setattr(tracklets, "paint", killed)
    with pytest.raises(KeyboardInterrupt):
        occlude_dataset(SOURCE, occwalk_root, folder, parts=["query"], workers=0)
    assert not (folder / "manifest.json").exists()
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        load_dataset("occluded", occwalk_root, options={"path": folder})
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("query/*/record.json")}
    assert finished
    (folder / "query/00031.partial").mkdir()  # of a tracklet that was being written
    monkeypatch.undo()
    occlude_dataset(SOURCE, occwalk_root, folder, parts=["query"], workers=0)
    part = json.loads((folder / "manifest.json").read_text())
    assert part["sha256"] == {"query": manifest["sha256"]["query"]}
    assert part["changed"] == {"train": 0, "query": manifest["changed"]["query"], "gallery": 0}
    for path in (folder / "query").rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (copy_folder / path.relative_to(folder)).read_bytes()
    assert finished.items() <= {p: p.stat().st_mtime_ns for p in folder.glob("query/*/*.json")
                                }.items()  # fmt: skip
    assert not [*folder.rglob("*.partial")]


def test_a_copy_is_refused_when_its_source_has_changed(
    occwalk_root, copy_folder, manifest, tmp_path
):
    shutil.copy(copy_folder / "occlusion.json", tmp_path)
    then = {**manifest, "fingerprint": "0" * 64, "frames": {s: {} for s in manifest["frames"]}}
    (tmp_path / "manifest.json").write_text(json.dumps(then))
    with pytest.raises(ValueError, match=r"was made of occwalk_tiny\.clean as it was then"):
        load_dataset("occluded", occwalk_root, options={"path": tmp_path})


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"query": {"0": {}}}',
        '{"query": {"0": {"frames": {"1": {"file": "a", "share": 7, "occluders": []}}}}}',
    ],
)
def test_damaged_records_are_named(occwalk_root, copy_folder, tmp_path, content):
    whole = json.loads((copy_folder / "manifest.json").read_text())
    manifest = {**whole, "frames": {subset: {} for subset in whole["frames"]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "occlusion.json").write_text(content)
    copy = load_dataset("occluded", occwalk_root, options={"path": tmp_path})
    with pytest.raises(ValueError, match=r"occlusion\.json does not say what is hidden"):
        ground_truth_of(copy).query_labels()


def test_a_folder_of_another_copy_is_refused(occwalk_root, copy_folder):
    with pytest.raises(ValueError, match="holds a copy that was begun with another seed"):
        occlude_dataset(SOURCE, occwalk_root, copy_folder, seed=7, workers=0)


def test_an_occluded_dataset_is_refused(occwalk_root, tmp_path):
    with pytest.raises(ValueError, match=r"its clean twin, occwalk_tiny\.clean"):
        occlude_dataset("occwalk_tiny", occwalk_root, tmp_path / "copy")


def test_a_dataset_without_masks_says_how_to_make_them(two_cameras, tmp_path):
    with pytest.raises(ValueError, match=r"make them by `torchreid-occ annotate`"):
        occlude_dataset("sduvid", two_cameras, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_other_occluders_may_be_tried_where_none_were_found(two_cameras, tmp_path):
    masks, folder = write_masks(two_cameras, tmp_path / "masks"), tmp_path / "copy"
    with pytest.raises(ValueError, match="Take rendered things or a folder"):
        occlude_dataset("sduvid", two_cameras, folder, masks=masks, workers=0)
    occlude_dataset(
        "sduvid", two_cameras, folder, masks=masks, occluders="things", parts=["query"], workers=0
    )
    assert (folder / "manifest.json").exists()


def test_masks_of_other_data_are_refused(two_cameras, occwalk_root, tmp_path):
    masks = write_masks(two_cameras, tmp_path / "masks")
    with pytest.raises(ValueError, match=r"masks are of none of 2,237 frames.*made of other data"):
        occlude_dataset(SOURCE, occwalk_root, tmp_path / "copy", masks=masks)


def test_masks_of_a_folder(two_cameras, tmp_path):
    masks = write_masks(two_cameras, tmp_path / "masks")
    folder = tmp_path / "copy"
    occlude_dataset("sduvid", two_cameras, folder, masks=masks, occluders="things", workers=0)
    copy = load_dataset("occluded", two_cameras, options={"path": folder})
    path = next(p for p, *_ in occluded_frames(copy) if ground_truth_of(copy).hidden_share(p) > 0.3)
    assert supervision_of(copy).has("foreground", path)
    moved = masks.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=r"keypoints\.json"):
        supervision_of(copy)
    options = {"path": folder, "masks": moved}
    assert supervision_of(load_dataset("occluded", two_cameras, options=options)).has(
        "foreground", path
    )


def test_a_copy_in_which_nothing_is_hidden_has_a_page(two_cameras, tmp_path):
    masks = write_masks(two_cameras, tmp_path / "masks")
    page = occlude_dataset(
        "sduvid", two_cameras, tmp_path / "copy", masks=masks, occluders="things", workers=0,
        parts=["query"], protocol=Protocol(query=0),
    )  # fmt: skip
    assert re.search(r"query, copy +100\.0 +0\.0 ", page.read_text())
    assert not [*(tmp_path / "copy" / "report").iterdir()]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"parts": ["test"]}, "Received part"), ({"seed": -1}, "must not be negative")],
)
def test_wrong_arguments(occwalk_root, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        occlude_dataset(SOURCE, occwalk_root, tmp_path / "copy", **wrong)


@pytest.mark.parametrize("source_and_target", [("occluded", "occluded"), (SOURCE, "occluded")])
def test_the_studies_read_the_copy_as_they_read_occwalk(
    occwalk_root, copy_folder, source_and_target
):
    from torchreid_occ.config import load_config

    source, target = source_and_target
    settings = [
        *("data.sources", f"['{source}']", "data.targets", f"['{target}']"),
        *("data.options.occluded.path", str(copy_folder)),
    ]
    known = load_true_dataset(load_config(None, settings), str(occwalk_root), 0)["query"]
    path, clean = known.tracklets[0][0][0], known.clean[0][0][0]
    assert clean.endswith(path.rpartition("_C")[2]) or path == clean
    assert len(known.tracklets) == len(known.clean) == 32
    lines = known.visible.keypoints(path)
    assert np.isfinite(lines).all()
    np.testing.assert_array_equal(lines, known.whole.keypoints(clean))


def test_the_page_has_the_papers_tables_and_pictures(copy_folder):
    page = (copy_folder / "report.md").read_text()
    assert "Table 1. Tracklets (%)" in page
    assert "query, paper           0.0     0.0     1.1" in page
    names = {path.name for path in (copy_folder / "report").iterdir()}
    assert names == {
        f"{part}{kind}.png" for part in ("train", "query", "gallery") for kind in ("", "_frames")
    }


def test_without_a_path_the_copy_is_the_folder_below_root(occwalk_root, copy_folder, tmp_path):
    for part in occwalk_root.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / "occluded").symlink_to(copy_folder)
    copy = load_dataset("occluded", tmp_path)
    assert copy.dataset_dir == tmp_path / "occluded"
    with pytest.raises(FileNotFoundError, match=r"completed does not exist"):
        load_dataset("completed", tmp_path)
