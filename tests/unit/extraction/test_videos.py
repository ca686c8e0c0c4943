import pytest
from small_videos import write_video

from torchreid_occ.extraction import video_units
from torchreid_occ.footage import TrackletOptions


@pytest.fixture
def listed(tmp_path):
    """Writes a list beside two videos and reads it."""
    (tmp_path / "a").mkdir()
    for video in ("gate.avi", "a/gate.avi"):
        write_video(tmp_path / video, frames=2)
    (tmp_path / "gate.txt").write_text("1,-1,5,5,16,40,0.9,-1,-1,-1\n")

    def read(text, **options):
        (tmp_path / "videos.csv").write_text(text)
        return video_units([tmp_path / "videos.csv"], tmp_path / "data", **options)

    return read


def test_a_list_is_read(listed, tmp_path):
    text = "video,camera,name,detections,fps\ngate.avi,3,,gate.txt,\na/gate.avi,4,north,,12.5\n"
    options = TrackletOptions(0, min_height=20)
    first, second = listed(text, detector="hog", options=options)
    assert (first.key, first.name, first.video) == (
        "video-gate",
        "gate",
        str(tmp_path / "gate.avi"),
    )
    assert first.footage == str(tmp_path / "data")
    assert first.source == (str(tmp_path / "gate.txt"), None, None)
    assert first.options == options._replace(camera=3)
    assert (second.key, second.source) == ("video-north", (None, "hog", None))
    assert second.options == options._replace(camera=4, frame_rate=12.5)
    assert first.is_cut_by_cpu and second.is_cut_by_cpu
    (other,) = listed("video,camera\ngate.avi,1\n", detector="fasterrcnn_resnet50_fpn")
    assert not other.is_cut_by_cpu


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video\ngate.avi\n", r"line 1: the columns are \['video'\], but expected video, camera"),
        ("video,camera,x\n", "line 1: the columns are"),
        ("video,camera\n", "lists no videos"),
        ("", "line 1: the columns are"),
        ("video,camera\ngate.avi\n", "line 2: the row does not have as many values"),
        ("video,camera\n,1\n", "line 2: no video is given"),
        ("video,camera\ngate.avi,one\n", "line 2: camera is 'one', but expected a whole number"),
        ("video,camera\ngone.avi,1\n", "line 2: There is no video .*gone.avi"),
        ("video,camera\ngate.avi,1\n", "line 2: no detections are given; give them, or name"),
        ("video,camera,detections\ngate.avi,1,no.txt\n", "line 2: there is no file of detections"),
        ("video,camera,fps\ngate.avi,1,fast\n", "line 2: could not convert"),
        ("video,camera,name\ngate.avi,1,../x\n", "line 2: The recording's name is '../x'"),
        (
            "video,camera,detections\ngate.avi,1,gate.txt\na/gate.avi,2,gate.txt\n",
            "line 3: the recording 'gate' is already in .*videos.csv, line 2: give one",
        ),
        ("video,camera\n\xff", "lists no|does not have as many"),
    ],
)
def test_faults_of_a_list_name_the_line(listed, text, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        listed(text)


def test_a_list_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no list of videos"):
        video_units([tmp_path / "videos.csv"], tmp_path)
    (tmp_path / "videos.csv").write_bytes(b"video,camera\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="cannot be read as CSV in UTF-8"):
        video_units([tmp_path / "videos.csv"], tmp_path)
