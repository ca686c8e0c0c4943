import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_videos import FPS, FRAMES, SIZE, colour_of, corners, files_below, image, mot_lines

from torchreid_occ.cli import main
from torchreid_occ.data.datasets.video import TrackletFolder
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.footage.boxes import read_mot
from torchreid_occ.search.query import track_query

OPTIONS = TrackletOptions(camera=3)


def test_a_recording_is_a_gallery_that_loads(add, tmp_path):
    manifest = add()
    data = tmp_path / "data"
    numbers = range(2, FRAMES + 1)
    assert files_below(data) == [
        *(
            f"gallery/gate_000{track}/3_gate_000{track}/gate_000{track}_{number:06d}.jpg"
            for track in (1, 2)
            for number in numbers
        ),
        "recordings/gate.json",
        "recordings/gate.moments/gate_0001.webp",
        "recordings/gate.moments/gate_0002.webp",
        "recordings/gate.sheet.html",
        "recordings/gate.tracks.txt",
    ]
    gallery = tracklets_of(load_dataset("tracklet_folder", str(data)))["gallery"]
    assert [(len(paths), pid, camid) for paths, pid, camid, _ in gallery] == [
        (FRAMES - 1, 0, 3),
        (FRAMES - 1, 1, 3),
    ]
    for paths, *_ in gallery:
        person = colour_of(paths[0])
        assert {colour_of(path) for path in paths} == {person}
        where = manifest["tracklets"][Path(paths[0]).parent.relative_to(data).as_posix()]
        assert where["frames"] == [*numbers]
        assert where["boxes"] == [[*corners(person, number)[:2], 16, 40] for number in numbers]
        assert where["seconds"] == [pytest.approx((number - 1) / FPS) for number in numbers]
        assert set(where["scores"]) == {0.9}
        assert cv2.imread(paths[0]).shape[:2] == (40, 16)
    assert manifest["box"] == ["left", "top", "width", "height"]
    assert (manifest["frames"], manifest["size"], manifest["frame_rate"]) == (FRAMES, [*SIZE], FPS)
    assert manifest["options"]["camera"] == 3 and manifest["file"] == "gate.avi"


def test_a_gallery_alone_is_neither_trained_nor_tested_on(add, tmp_path):
    from torchreid_occ.data.manager import ClipDataManager

    add()
    root = str(tmp_path / "data")
    with pytest.raises(ValueError, match=r"has a gallery only and no (train|query) set"):
        ClipDataManager(root, "tracklet_folder", height=32, width=16)
    dataset = TrackletFolder(root, verbose=True)  # torchreid's summary of no items
    assert (dataset.num_train_pids, len(dataset.train), len(dataset.query)) == (0, 0, 0)


def test_finished_tracks_are_not_linked_again(add, tmp_path):
    path = tmp_path / "tracks.txt"
    lines = mot_lines({1: 40, 2: 8}, frames=[*range(1, 11), *range(25, FRAMES + 1)])
    path.write_text("\n".join(lines))
    manifest = add(source=BoxSource(detections=str(path)), min_length=10)
    assert [where["frames"] for where in manifest["tracklets"].values()] == [[*range(1, 11)]] * 2
    assert len(manifest["tracklets"]) == 2


def test_a_margin_shows_more_and_stays_inside_the_frame(add, tmp_path):
    manifest = add(margin=0.5)
    for folder, where in manifest["tracklets"].items():
        for number, (left, top, wide, high) in zip(where["frames"], where["boxes"], strict=True):
            right, bottom = left + wide, top + high
            path = tmp_path / "data" / folder / f"{Path(folder).parent.name}_{number:06d}.jpg"
            high = min(SIZE[1], bottom + 20) - max(0, top - 20)
            wide = min(SIZE[0], right + 8) - max(0, left - 8)
            assert cv2.imread(str(path)).shape == (high, wide, 3)


def test_cameras_are_added_one_after_another(add, tmp_path):
    add()
    add(camera=4, name="evening")
    dataset = TrackletFolder(tmp_path / "data", verbose=False)
    assert [item[2] for item in dataset.gallery] == [4, 4, 3, 3]
    assert len({item[1] for item in dataset.gallery}) == 4


def test_boxes_of_two_tracks_may_be_the_same(add, tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text("\n".join([*mot_lines({1: 1, 2: 2}), *mot_lines({1: 3, 2: 4})]))
    made = add(source=BoxSource(detections=str(path)))
    first, _, third, _ = ([*(tmp_path / "data" / folder).iterdir()] for folder in made["tracklets"])
    assert len(first) == len(third) == FRAMES
    pairs = zip(sorted(first), sorted(third), strict=True)
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)


def test_the_tracks_are_written_for_a_query(add, tmp_path, video):
    manifest = add(min_length=20)
    tracks = tmp_path / "data/recordings/gate.tracks.txt"
    boxes = read_mot(tracks)
    assert boxes.linked and len(boxes) == 2 * (FRAMES - 1)
    for folder, where in manifest["tracklets"].items():
        number = int(Path(folder).name[-4:])
        own = boxes[boxes.track == number]
        assert own.frame.tolist() == where["frames"]
        left, top, width, height = np.array(where["boxes"]).T
        assert own.corners.T.tolist() == [*map(list, (left, top, left + width, top + height))]
        query = track_query(video, tracks, number)
        cut = [cv2.imread(str(path)) for path in sorted((tmp_path / "data" / folder).iterdir())]
        assert [crop.shape for crop in query.frames] == [crop.shape for crop in cut]
        for mine, written in zip(query.frames, cut, strict=True):
            assert np.abs(mine[..., ::-1].astype(int) - written).mean() < 15


def test_a_folder_of_frames_is_a_recording(tmp_path, detections):
    folder = tmp_path / "MOT17-77/img1"
    folder.mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / f"{number:06d}.png"), image(number))
    info = "[Sequence]\nname=MOT17-77\nimDir=img1\nframeRate=10\nseqLength=30\nimExt=.png\n"
    (folder.parent / "seqinfo.ini").write_text(info)
    source = BoxSource(detections=str(detections))
    made = add_recording(folder, tmp_path / "data", source, OPTIONS)
    assert (made["frames"], made["frame_rate"], made["size"]) == (FRAMES, FPS, [*SIZE])
    assert (tmp_path / "data/gallery/MOT17-77_0001/3_MOT17-77_0001").is_dir()
    assert add_recording(folder.parent, tmp_path / "data", source, OPTIONS) == made
    cv2.imwrite(str(folder / "000009.png"), image(10))
    with pytest.raises(FileExistsError, match="made from another video"):
        add_recording(folder, tmp_path / "data", source, OPTIONS)


def test_detections_after_the_end_of_a_cut_video(add, video, caplog):
    video.write_bytes(video.read_bytes()[: 2 * video.stat().st_size // 3])
    with caplog.at_level(logging.WARNING, "torchreid_occ"):
        manifest = add()
    assert manifest["frames"] < manifest["announced_frames"] == FRAMES
    late = 2 * (FRAMES - manifest["frames"])
    assert f"{late} are of frames after the last one, {manifest['frames']}" in caplog.text
    for where in manifest["tracklets"].values():
        assert where["frames"][-1] == manifest["frames"]


def test_names_of_any_kind(add, tmp_path, video, detections):
    odd = video.rename(tmp_path / "Tür 门\n1%d.avi")
    manifest = add(odd)
    assert manifest["file"] == "Tür 门\n1%d.avi"
    assert "gallery/Tür_门_1_d_0001/3_Tür_门_1_d_0001" in manifest["tracklets"]
    for name in ("../up", ".hidden", "a/b", "a b", "-x"):
        with pytest.raises(ValueError, match="recording's name is"):
            add(odd, name=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camera": -1}, "camera is -1, but must be a number from 0"),
        ({"min_length": 0}, "min_length is 0, but must be a number from 1"),
        ({"max_gap": float("nan")}, "max_gap is nan"),
        ({"margin": float("inf")}, "margin is inf"),
        ({"min_height": 0}, "min_height is 0"),
        ({"min_score": float("nan")}, "min_score is nan"),
    ],
)
def test_options_out_of_range(add, changes, message):
    with pytest.raises(ValueError, match=message):
        add(**changes)


def test_missing_files_are_named(add, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no video .*gone\.avi"):
        add(tmp_path / "gone.avi")
    with pytest.raises(FileNotFoundError, match=r"no file of detections gone\.txt"):
        add(source=BoxSource(detections="gone.txt"))
    with pytest.raises(ValueError, match="weights belong to a detector"):
        add(source=BoxSource(detections="gone.txt", weights="w.pth"))
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data/tracklets.csv").touch()
    with pytest.raises(
        ValueError, match=r"holds tracklets\.csv, which is read in place of folders"
    ):
        add()


def test_the_command(tmp_path, video, detections, capsys):
    words = [
        "tracklets",
        str(video),
        "--detections",
        str(detections),
        "--camera",
        "1",
        "--out",
        f"{tmp_path}/data",
    ]
    main([*words, "--name", "noon", "--margin", "0.2"])
    said = capsys.readouterr().out
    assert "has 2 tracklets of 29 to 29 frames from the 30 frames of" in said
    assert "already" not in said
    assert f"Look through {tmp_path}/data/recordings/noon.sheet.html" in said
    options = json.loads((tmp_path / "data/recordings/noon.json").read_text())["options"]
    assert options == {
        **OPTIONS._asdict(),
        "camera": 1,
        "min_score": 0.7,
        "margin": 0.2,
    }
    main([*words, "--name", "noon", "--margin", "0.2"])
    assert capsys.readouterr().out.startswith("They are there already: the same video, boxes and")
    with pytest.raises(SystemExit, match=r"error: .*another options"):
        main([*words, "--name", "noon"])
