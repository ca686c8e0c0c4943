import json

import numpy as np
import pytest
from PIL import Image

from torchreid_occ.data.poses import Pose, Poses, pose_path, write_pose


@pytest.fixture
def folder(tmp_path):
    """Poses of two frames named by folder and file, one with a mask."""
    points = np.column_stack([np.linspace(-0.2, 1.2, 33), np.full(33, 1 / 3), np.ones(33)])
    for name, presence in (("a/1.jpg", 0.98765), ("b/1.jpg", 0.1)):
        pose = Pose(presence, points.astype(np.float32), None)
        write_pose(pose_path(tmp_path / "foreground", name), pose)
    mask = np.zeros((4, 2), np.uint8)
    mask[1:3] = 255
    Image.fromarray(mask).save(tmp_path / "foreground/a/1/foreground.png")
    return tmp_path


def test_poses_are_read_by_the_path_of_the_frame(folder):
    poses = Poses(folder)
    pose = poses.read("/somewhere/else/a/1.jpg")
    assert pose.presence == 0.9877
    assert pose.points.shape == (33, 3) and pose.points.dtype == np.float32
    np.testing.assert_allclose(pose.points[[0, 32]], [[-0.2, 0.3333, 1], [1.2, 0.3333, 1]], 1e-6)
    np.testing.assert_array_equal(pose.mask[:, 0], [0, 255, 255, 0])
    unsure = poses.read("b/1.jpg")
    assert unsure.presence == 0.1 and unsure.mask is None
    assert poses.read("a/2.jpg") is None


def test_no_poses(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"foreground holds no poses: annotate"):
        Poses(tmp_path)


CONTENTS = [
    [], {"presence": 1}, {"presence": 1, "points": [[1, 2]]}, {"presence": 2, "points": []},
    {"presence": 1, "points": [[1, float("nan"), 1]]},
]  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
def test_something_else_is_named(folder, content):
    (folder / "foreground/a/1/pose.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'a/1/pose\.json" is no pose.*: expected {"presence"'):
        Poses(folder).read("a/1.jpg")
