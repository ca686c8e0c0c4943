import socket
import sys

import pytest
from many_videos import write_videos
from small_checkpoint import write_small_checkpoint

from torchreid_occ.extraction import cluster, extract_to_parquet, video_units
from torchreid_occ.extraction.work import PLAN, Settings


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    units = video_units([write_videos(folder, 1)], folder / "data")
    return folder, write_small_checkpoint(folder), units


def test_devices_are_gpus_or_groups_of_cpus():
    nodes = [{"CPU": 5.0}, {"CPU": 3.0}, {}]
    assert cluster.devices(nodes, 2) == ("2 CPUs", 3)
    assert cluster.devices([*nodes, {"GPU": 2.0, "CPU": 1.0}], 99) == ("GPU", 2)
    for gpus, cut in (({}, False), ({"GPU": 1.0}, True)):
        with pytest.raises(ValueError, match=r"8 threads .* no node has more than 5 CPUs"):
            cluster.devices([*nodes, gpus], 8, cut)


@pytest.mark.parametrize("address", ["nonsense", "ray://head:10001", "host:99999", ""])
def test_addresses_of_another_form(small, tmp_path, address):
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="must be 'local', 'auto', or HOST:PORT"):
        [*cluster.extract_on_cluster(small[2], None, address)]


def test_an_address_where_nothing_answers(small, tmp_path):
    pytest.importorskip("ray")
    _, checkpoint, units = small
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match=rf"Nothing answers at 127.0.0.1:{port}"):
        extract_to_parquet(tmp_path / "f", checkpoint, units, ray=f"127.0.0.1:{port}", threads=1)
    assert [file.name for file in (tmp_path / "f").iterdir()] == [PLAN]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("local", "No Ray cluster starts in this machine: slow"),
        ("auto", "no Ray cluster at 'auto'"),
    ],
)
def test_a_cluster_that_does_not_start(monkeypatch, address, message):
    ray = pytest.importorskip("ray")

    def init(**_):
        raise Exception("slow")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")  # restored afterwards
    with pytest.raises(ConnectionError, match=message):
        [*cluster.extract_on_cluster([], None, address)]


def test_without_ray_the_extra_is_named(small, tmp_path, monkeypatch):
    _, checkpoint, units = small
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"'ray'.*pip install torchreid-occ\[ray\]"):
        extract_to_parquet(tmp_path / "f", checkpoint, units, ray="local", threads=1)


def test_what_a_node_sees(small, tmp_path):
    _, checkpoint, _ = small
    settings = Settings(str(tmp_path), str(checkpoint), "", 1)
    assert "does not see the folder" in cluster.look(settings, b"{}").error
    (tmp_path / PLAN).write_bytes(b"{}")
    seen = cluster.look(settings, b"{}")
    assert seen.error == "" and seen.versions["torch"]
    assert "does not see the folder" in cluster.look(settings, b"another").error
    gone = settings._replace(checkpoint="/gone/model.pth.tar-1")
    assert cluster.look(gone, b"{}").error.startswith("There is no checkpoint /gone/model")


def test_an_actor_passes_errors_of_cutting_on(small, tmp_path):
    folder, checkpoint, (unit,) = small
    settings = Settings(str(tmp_path), str(checkpoint), "", 1)
    broken = unit._replace(video=str(folder / "gone.avi"))
    units = [broken, unit]
    row = {"place": 0, "error": ""}
    cut = cluster._cut_ahead(row, units, settings)
    assert cut == {**row, "error": f"There is no video {folder / 'gone.avi'}."}
    actor = cluster._Actor(units, settings, "1 CPUs")
    assert actor(cut) == {"label": unit.label, "tracklets": 0, "error": cut["error"]}
    whole = cluster._cut_ahead({"place": 1, "error": ""}, units, settings)
    assert actor(whole) == {"label": unit.label, "tracklets": 2, "error": ""}
