import numpy as np
import pytest
from matlab_files import parsed_here
from PIL import Image


@pytest.fixture(autouse=True, scope="module")
def _matlab_files_are_parsed_here():
    with parsed_here():
        yield


@pytest.fixture
def make_tracklet(tmp_path):
    """Writes a tracklet of plain frames, each of its own grey; returns torchreid's tuple."""

    def make(pid, camid, num_frames=6, dsetid=0, size=(16, 32)):
        paths = []
        for t in range(num_frames):
            path = tmp_path / f"d{dsetid}_p{pid:02d}_c{camid}_f{t:03d}.png"
            grey = (pid * 40 + camid * 10 + t) % 256
            Image.fromarray(np.full((size[1], size[0], 3), grey, np.uint8)).save(path)
            paths.append(str(path))
        return tuple(paths), pid, camid, dsetid

    return make
