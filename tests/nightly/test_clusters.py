"""Extraction on Ray: simulated nodes of which one is killed, and a driver that is killed."""

import shutil
import threading
import time

import pytest
from commands import start_and_kill
from many_videos import parts, write_videos
from small_checkpoint import write_small_checkpoint

from torchreid_occ.extraction import extract_to_parquet, video_units

pytestmark = pytest.mark.nightly
ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
VIDEOS, STORE = 24, 80 * 2**20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a checkpoint and a list of videos, and what one process extracts from it."""
    folder = tmp_path_factory.mktemp("clusters")
    checkpoint = write_small_checkpoint(folder)
    units = video_units([write_videos(folder, VIDEOS)], folder / "data")
    extract_to_parquet(folder / "plain", checkpoint, units, threads=1)
    return folder, checkpoint, units


@pytest.fixture
def footage(made):
    """The folder to which recordings are added, empty: paths are a part of the results."""
    shutil.rmtree(made[0] / "data", ignore_errors=True)
    return made[0] / "data"


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    simulated = Cluster(True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    yield simulated
    ray.shutdown()
    simulated.shutdown()


def stamps(*folders):
    """Time and number of each file that is complete."""
    found = [file for folder in folders for file in folder.rglob("[!._]*.*") if file.is_file()]
    return {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in found}


def test_a_killed_node_loses_nothing(made, footage, cluster, tmp_path):
    folder, checkpoint, units = made
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    written = {}

    def kill():
        while len([*tmp_path.glob("f/*.parquet")]) < 4:
            time.sleep(0.02)
        written.update(stamps(tmp_path / "f"))
        cluster.remove_node(nodes[0], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    done = extract_to_parquet(tmp_path / "f", checkpoint, units, ray=cluster.address, threads=1)
    killer.join()
    assert not done.failed and not done.before
    assert 4 <= len(written) < VIDEOS
    assert parts(tmp_path / "f") == parts(folder / "plain")
    after = stamps(tmp_path / "f")
    assert {file: after[file] for file in written} == written  # nothing was written again
    assert sorted(file.stem for file in footage.glob("recordings/*.json")) == sorted(
        unit.name for unit in units
    )
    assert not [*footage.glob(".*")] and not [*tmp_path.glob("f/.*")]


def test_gpus_extract_what_cpus_cut(made, footage, cluster, tmp_path):
    folder, checkpoint, units = made
    cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE)
    broken = units[0]._replace(video=str(folder / "gone.avi"), key="video-gone", name="gone")
    done = extract_to_parquet(
        tmp_path / "f", checkpoint, [*units[:5], broken], ray=cluster.address, threads=1
    )
    assert [outcome.error for outcome in done.failed] == [f"There is no video {broken.video}."]
    expected = parts(folder / "plain")
    for unit in units[:5]:
        assert (tmp_path / f"f/{unit.key}.parquet").read_bytes() == expected[f"{unit.key}.parquet"]


def test_a_killed_driver_is_continued_by_one_process(made, footage, tmp_path):
    folder, checkpoint, units = made
    words = ["extract", str(checkpoint), str(folder / "videos.csv"), "--footage", str(footage)]
    words += ["--out", str(tmp_path / "f.parquet"), "--threads", "1", "--ray", "local"]
    start_and_kill(words, tmp_path / f"f.parquet/{units[3].key}.parquet")
    time.sleep(5)  # the actors end with their driver
    written = stamps(tmp_path / "f.parquet")
    assert 1 <= len(written) <= VIDEOS
    done = extract_to_parquet(tmp_path / "f.parquet", checkpoint, units, threads=1)
    assert done.before == len(written)
    assert parts(tmp_path / "f.parquet") == parts(folder / "plain")
    after = stamps(tmp_path / "f.parquet")
    assert {file: after[file] for file in written} == written
