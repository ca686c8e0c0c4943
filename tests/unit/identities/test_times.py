import json
from pathlib import Path

import numpy as np
import pytest

from torchreid_occ.identities.times import Travel, pairs_apart, read_travel, recording_of
from torchreid_occ.search import GalleryTracklet


def tracklet(name, camera, start=None, end=None):
    return GalleryTracklet(name, (f"/data/gallery/x/{name}/1.jpg",), camera, start, end)


SEEN = [
    tracklet("1_gate_0001", 1, 0, 10),
    tracklet("1_gate_0002", 1, 10, 12),
    tracklet("1_gate_0003", 1, 13, 20),
    tracklet("1_night_0001", 1, 0, 10),  # another recording of the camera
    tracklet("2_hall_0001", 2, 5, 15),
    tracklet("unknown", 1),
]


def pairs(found):
    assert (found == found.T).all()
    return {tuple(map(int, pair)) for pair in np.argwhere(np.triu(found))}


def test_a_camera_sees_two_people_at_once():
    # Another camera's recording has the same name.
    assert pairs(pairs_apart([*SEEN, tracklet("2_gate_0001", 2, 0, 10)])) == {(0, 1)}


def test_recordings_of_one_name_in_two_datasets_are_two():
    tomorrow = SEEN[0]._replace(frames=("/later/gallery/x/1_gate_0001/1.jpg",))
    assert pairs(pairs_apart([*SEEN[:2], tomorrow])) == {(0, 1)}
    with pytest.raises(ValueError, match="named gate, one in /data and one in /later"):
        pairs_apart([SEEN[0], tomorrow], Travel({"gate": 0}, {}))


def test_travel_times_keep_apart_who_would_have_to_run():
    starts = {"gate": 0, "hall": 10, "night": 1000}  # hall's tracklet lasts from second 15 to 25
    found = pairs_apart(SEEN[:5], Travel(starts, {(1, 2): 4}))
    assert pairs(found) == {(0, 1), (1, 4), (2, 4)}  # 5 s after the first, 3 after the second


def test_travel_times_need_times_and_starts():
    with pytest.raises(ValueError, match="1 of 6 have none, such as unknown"):
        pairs_apart(SEEN, Travel({"gate": 0, "hall": 0, "night": 0}, {}))
    with pytest.raises(ValueError, match="lack the start of the recordings hall, night"):
        pairs_apart(SEEN[:5], Travel({"gate": 0}, {}))


def test_the_recording_is_part_of_the_folders_name():
    assert recording_of(SEEN[0]) == (Path("/data"), "gate")
    assert recording_of(tracklet("1_front_gate_0012", 1, 0, 1)) == (Path("/data"), "front_gate")
    of_table = GalleryTracklet("x", ("1_gate_0001/1.jpg",), 1, 0, 1)
    assert recording_of(of_table) == (Path(), "gate")
    assert recording_of(SEEN[5]) is None


def test_travel_times_are_read(tmp_path):
    path = tmp_path / "travel.json"
    path.write_text(json.dumps({"starts": {"gate": 3}, "seconds": [[2, 1, 30]]}))
    assert read_travel(path) == Travel({"gate": 3.0}, {(1, 2): 30.0})
    for wrong in ("[]", '{"starts": {}}', '{"starts": {}, "seconds": [[1, 2]]}'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="holds no travel times"):
            read_travel(path)
