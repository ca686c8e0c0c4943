import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from many_videos import parts, write_videos
from small_checkpoint import write_small_checkpoint

from torchreid_occ import TrackletExtractor
from torchreid_occ.extraction import extract_to_parquet, folder_units, job, video_units, work
from torchreid_occ.extraction.work import Outcome, Settings, UnitExtractor
from torchreid_occ.footage import NoTrackletsError
from torchreid_occ.footage.manifest import recorded_tracklet


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint, three videos, and what is extracted from them."""
    folder = tmp_path_factory.mktemp("videos")
    checkpoint = write_small_checkpoint(folder)
    videos = write_videos(folder, 3)
    units = video_units([videos], folder / "data")
    done = extract_to_parquet(folder / "f.parquet", checkpoint, units, threads=1)
    return folder, checkpoint, units, done


def test_a_table_of_videos(made):
    folder, checkpoint, units, done = made
    assert (done.tracklets, done.before, done.empty, done.failed) == (6, 0, [], [])
    assert sorted(parts(folder / "f.parquet")) == [
        "_plan.json", *(f"video-v{n}.parquet" for n in range(3)),
    ]  # fmt: skip
    extractor = TrackletExtractor(checkpoint)
    for number, unit in enumerate(units):
        file = pq.ParquetFile(folder / f"f.parquet/{unit.key}.parquet")
        about = json.loads(file.schema_arrow.metadata[b"torchreid_occ"])
        assert about == {
            "checkpoint_hash": extractor.checkpoint_hash, "precisions": ["float32"],
            "unit": unit.key,
        }  # fmt: skip
        rows = file.read().to_pylist()
        assert [row["name"] for row in rows] == [
            f"gallery/v{number}_000{n}/{number % 3}_v{number}_000{n}" for n in (1, 2)
        ]
        assert all(row["content"] for row in rows)  # by which `search index` finds moved frames
        expected = extractor([row["frames"] for row in rows]).numpy()
        for row, feature in zip(rows, expected, strict=True):
            where = recorded_tracklet(folder / "data" / row["name"])
            assert np.array_equal(np.float32(row["feature"]), feature)
            assert (row["camera"], row["video"]) == (number % 3, unit.video)
            assert (row["video_frames"], row["seconds"], row["boxes"]) == (
                where.frames, where.seconds, where.boxes,
            )  # fmt: skip
            assert (row["start"], row["end"]) == (where.seconds[0], where.seconds[-1])


def test_the_same_call_does_nothing_and_more_videos_are_added(made, monkeypatch):
    folder, checkpoint, units, _ = made
    before = parts(folder / "f.parquet")
    monkeypatch.setattr(UnitExtractor, "__call__", lambda *_: pytest.fail("extracted again"))
    again = extract_to_parquet(folder / "f.parquet", checkpoint, units, threads=1)
    assert (again.tracklets, again.before) == (0, 3)
    with pytest.raises(
        ValueError, match=r"holds 1 parts of other videos or tracklets, such as vid"
    ):
        extract_to_parquet(folder / "f.parquet", checkpoint, units[:2], threads=1)
    with pytest.raises(ValueError, match="begun with another number of threads"):
        extract_to_parquet(folder / "f.parquet", checkpoint, units, threads=2)
    taller = [unit._replace(options=unit.options._replace(min_height=9)) for unit in units]
    with pytest.raises(ValueError, match="begun with another choice of tracklets"):
        extract_to_parquet(folder / "f.parquet", checkpoint, taller, threads=1)
    assert parts(folder / "f.parquet") == before


def test_a_part_that_is_there_counts_as_extracted(made):
    folder, checkpoint, units, _ = made
    again = UnitExtractor(Settings(str(folder / "f.parquet"), str(checkpoint), "", 1))(units[0])
    assert again == Outcome(units[0].label, 2, "")


def test_an_interrupted_call_is_continued_with_the_same_bytes(made, tmp_path, monkeypatch):
    folder, checkpoint, units, _ = made
    calls, own = [], UnitExtractor.__call__

    def interrupted(self, unit):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(unit)
        return own(self, unit)

    with monkeypatch.context() as patch:
        patch.setattr(UnitExtractor, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract_to_parquet(tmp_path / "f", checkpoint, units, threads=1)
    done = extract_to_parquet(tmp_path / "f", checkpoint, units, threads=1)
    assert (done.before, done.tracklets) == (2, 2)
    assert parts(tmp_path / "f") == parts(folder / "f.parquet")


def test_unreadable_and_empty_videos(made, tmp_path):
    _, checkpoint, *_ = made
    videos = write_videos(tmp_path, 4)
    (tmp_path / "v1.avi").write_bytes(b"nothing")
    (tmp_path / "v2.txt").write_text("")
    units = video_units([videos], tmp_path / "data")
    done = extract_to_parquet(tmp_path / "f", checkpoint, units, threads=1)
    assert (done.tracklets, done.empty) == (4, [str(tmp_path / "v2.avi")])
    ((label, _, error),) = done.failed
    assert label == str(tmp_path / "v1.avi") and "is no video that OpenCV can read" in error
    assert pq.read_table(tmp_path / "f/video-v2.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "f").num_rows == 4  # readers take the folder
    write_videos(tmp_path, 2)  # the second is whole now
    again = extract_to_parquet(tmp_path / "f", checkpoint, units, threads=1)
    assert (again.before, again.tracklets, again.failed) == (3, 2, [])


def test_a_recording_without_people_has_an_error_of_its_own(made):
    *_, units, _ = made
    short = units[0]._replace(options=units[0].options._replace(min_length=99), name="short")
    assert short.tracklets() == []
    with pytest.raises(NoTrackletsError, match="No track has 99 frames"):
        short._recording()


def test_tracklets_of_folders_and_their_faults(made, tmp_path):
    folder, checkpoint, *_ = made
    units = folder_units([folder / "data/gallery"])
    done = extract_to_parquet(tmp_path / "f", checkpoint, units, threads=1)
    table = pq.read_table(tmp_path / "f").to_pylist()
    videos = pq.read_table(folder / "f.parquet").to_pylist()
    assert done.tracklets == 6 and [row["name"] for row in table] == [r["name"] for r in videos]
    assert [row["boxes"] for row in table] == [row["boxes"] for row in videos]
    place = tmp_path / "broken/1"
    place.mkdir(parents=True)
    (place / "1.jpg").write_bytes(b"x")
    done = extract_to_parquet(
        tmp_path / "b", checkpoint, folder_units([tmp_path / "broken"]), threads=1, workers=1
    )
    assert 'Cannot decode image "' in done.failed[0].error and "\n" not in done.failed[0].error
    assert not [*(tmp_path / "b").glob("*.parquet")]


def test_threads_are_set_and_restored(made, tmp_path):
    _, checkpoint, units, _ = made
    seen = []

    class Unit(type(units[0])):
        def tracklets(self):
            seen.append(torch.get_num_threads())
            return []

    with work.threads(2):
        extract_to_parquet(tmp_path / "f", checkpoint, [Unit(*units[0])], threads=1)
        assert seen == [1] and torch.get_num_threads() == 2


def test_nothing_to_extract_and_folders_in_use(made, tmp_path):
    _, checkpoint, units, _ = made
    with pytest.raises(ValueError, match="There is nothing to extract"):
        extract_to_parquet(tmp_path / "f", checkpoint, [])
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine.txt").write_text("")
    with pytest.raises(ValueError, match="is not empty and holds no table of features"):
        extract_to_parquet(tmp_path / "x", checkpoint, units)
    with (
        job._claimed(tmp_path / "y", {}, []),
        pytest.raises(ValueError, match="Another process is extracting to"),
    ):
        extract_to_parquet(tmp_path / "y", checkpoint, units)
    settings = Settings(str(tmp_path), str(checkpoint), "ab", 1)
    with pytest.raises(ValueError, match="is another file here than where the extraction began"):
        UnitExtractor(settings)
