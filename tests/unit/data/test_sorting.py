import csv
from collections import defaultdict

import pytest
from PIL import Image

from torchreid_occ.data.sorting import sort_folder
from torchreid_occ.data.tracklets import load_dataset, tracklets_of


@pytest.fixture
def write(tmp_path):
    """Writes images by their paths."""
    Image.new("RGB", (4, 8)).save(tmp_path / "one.png")
    content = (tmp_path / "one.png").read_bytes()

    def make(*paths):
        for path in paths:
            file = tmp_path / "own" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return tmp_path / "own"

    return make


def mars(person, camera, tracklet, frames=2):
    names = [f"{person:04d}C{camera}T{tracklet:04d}F{n + 1:03d}.jpg" for n in range(frames)]
    return [f"bbox/{person:04d}/{name}" for name in names]


def market(person, camera, sequence, frames=(90, 100)):
    names = [f"{person:04d}_c{camera}s{sequence}_{n:06d}_00.jpg" for n in frames]
    return [f"bounding_box_default/{name}" for name in names]


def folders(person, camera):
    return [f"people/{person}/{camera}/{n}.png" for n in (1, 2, 10)]


def by_subset(root):
    subsets = tracklets_of(load_dataset("tracklet_folder", str(root)))
    return {
        name: [(len(frames), pid, cam) for frames, pid, cam, _ in items]
        for name, items in subsets.items()
    }


def people_of(file):
    found = defaultdict(set)
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["split"]].add(row["pid"])
    return found


PAIRS = [(person, camera) for person in range(1, 7) for camera in (1, 2)]
NAMED = {
    "MARS": [f for p, c in PAIRS for t in (1, 2) for f in mars(p, c, 10 * c + t)],
    "Market-1501": [f for p, c in PAIRS for s in (1, 2) for f in market(p, c, s)],
    "folders": [
        f for p in "abcdef" for c in ("1", "1_noon", "2", "2_noon") for f in folders(p, c)
    ],
}  # fmt: skip


@pytest.mark.parametrize("layout", NAMED)
def test_a_draw_is_a_dataset_to_train_and_test_on(write, layout):
    root = write(*NAMED[layout])
    done = sort_folder(root)
    assert (done.layout, done.persons, done.junk, done.drawn) == (layout, (3, 3), 0, True)
    assert done.tracklets == {"train": 12, "query": 6, "gallery": 12}
    found = by_subset(root)
    assert {name: len(items) for name, items in found.items()} == done.tracklets
    length = 3 if layout == "folders" else 2
    assert {frames for items in found.values() for frames, *_ in items} == {length}
    assert sorted(set(found["query"])) == sorted(set(found["gallery"]))
    assert len({(pid, cam) for _, pid, cam in found["query"]}) == 6
    people = people_of(done.file)
    assert people["query"] == people["gallery"] and not people["train"] & people["query"]


def test_frames_are_in_temporal_order(write):
    root = write(*NAMED["folders"])
    sort_folder(root)
    frames = tracklets_of(load_dataset("tracklet_folder", str(root)))["train"][0][0]
    assert [frame.rpartition("/")[2] for frame in frames] == ["1.png", "2.png", "10.png"]


def test_the_seed_draws_and_the_share_counts(write, tmp_path):
    root = write(*NAMED["MARS"])
    people = [
        people_of(sort_folder(root, tmp_path / f"{seed}{again}", 0.34, seed).file)["query"]
        for seed in (0, 1, 2, 3) for again in "ab"
    ]  # fmt: skip
    assert people[0::2] == people[1::2] and len({frozenset(one) for one in people}) > 1
    assert {len(one) for one in people} == {2}


def test_people_of_one_camera_are_for_training_and_junk_is_left_out(write):
    extra = [*mars(9, 1, 5), "bbox/00-1/00-1C1T0001F001.jpg", "bbox/00-1/00-1C2T0001F001.jpg"]
    done = sort_folder(write(*NAMED["MARS"], *extra))
    assert done.junk == 2 and done.persons == (4, 3)
    assert "0009" in people_of(done.file)["train"]


def test_folders_that_name_the_subsets_are_kept(write):
    paths = []
    for subset, people in {"bbox_train": "12", "query": "34", "bbox_test": "345"}.items():
        for person in people:
            own = [f for c in (1, 2) for f in market(int(person), c, 1)]
            paths += [f.replace("bounding_box_default", subset) for f in own]
    done = sort_folder(write(*paths))
    assert not done.drawn and done.persons == (2, 2)
    assert done.tracklets == {"train": 4, "query": 4, "gallery": 6}


def test_frames_stay_where_they_are(write, tmp_path):
    root = write(*NAMED["MARS"])
    done = sort_folder(root, tmp_path / "elsewhere")
    assert done.file == tmp_path / "elsewhere" / "tracklets.csv" and not list(root.glob("*.csv"))
    assert by_subset(tmp_path / "elsewhere")["query"]
    with pytest.raises(FileExistsError, match="remove it to sort anew"):
        sort_folder(root, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "paths, message",
    [
        ([], "no folder"),
        (["a/notes.txt"], "holds images"),
        (
            [*NAMED["MARS"], "bbox/0001/holiday.jpg"],
            "named in one way .*folders: .*holiday",
        ),
        ([*NAMED["MARS"], *NAMED["folders"]], "MARS: .*folders: "),
        (["1/a.jpg", "2/a.jpg"], "not all named in one way"),
        ([*mars(1, 1, 1), *mars(2, 1, 2)], "Of 2 persons, 0 are seen by several cameras"),
        ([*mars(1, 1, 1), *mars(1, 2, 2)], "share of 0.5 is 0: at least 2"),
    ],
)
def test_what_cannot_be_sorted_is_said(write, tmp_path, paths, message):
    write(*paths)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        sort_folder(tmp_path / "own")
    assert not list(tmp_path.glob("**/*.csv"))


def test_an_impossible_share_is_refused(write):
    with pytest.raises(ValueError, match="test_share is 1, but must lie between 0 and 1"):
        sort_folder(write(*NAMED["MARS"]), test_share=1)
