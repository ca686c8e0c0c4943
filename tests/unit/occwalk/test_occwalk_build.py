"""A rendering on disk: whole or absent, made once, resumed, shared by workers."""

import fcntl
import hashlib
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace

import pytest
from commands import start
from small_rendering import SMALLER, hash_tree

from torchreid_occ import occwalk
from torchreid_occ.occwalk import VERSION, parallel, worker
from torchreid_occ.occwalk.build import build
from torchreid_occ.occwalk.frozen import FROZEN
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.records import read_record, render_record

NAME = f"smaller-v{VERSION}-s0"


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    return build(SMALLER, 0, str(tmp_path_factory.mktemp("smaller")), workers=1)


def test_a_rendering_that_is_not_the_frozen_one_says_so(tmp_path, monkeypatch, capsys):
    build(SMALLER, 0, str(tmp_path / "unknown"), workers=1)
    assert "WARNING" not in capsys.readouterr().out
    monkeypatch.setitem(FROZEN, (VERSION, "smaller", 0), "another")
    build(SMALLER, 0, str(tmp_path / "changed"), workers=1)
    assert "not the frozen one" in capsys.readouterr().out


def test_manifest_says_what_it_is(smaller):
    manifest = json.loads((smaller / "manifest.json").read_text())
    specs = list_tracklets(SMALLER, 0)
    assert manifest["version"] == VERSION
    assert manifest["seed"] == 0
    assert manifest["preset"]["name"] == "smaller"
    assert manifest["frames"] == sum(spec.num_frames for spec in specs)
    assert list(manifest["tracklets"]) == [spec.folder for spec in specs]
    assert len(set(manifest["tracklets"].values())) == len(specs)
    joined = "".join(manifest["tracklets"].values()).encode()
    assert manifest["sha256"] == hashlib.sha256(joined).hexdigest()


def test_frames_are_all_there(smaller):
    num_frames = json.loads((smaller / "manifest.json").read_text())["frames"]
    keypoints = json.loads((smaller / "keypoints.json").read_text())
    frames = {
        path.name
        for split in ("train", "query", "gallery")
        for path in smaller.glob(f"{split}/*/*/*")
    }
    assert len(frames) == num_frames
    assert keypoints.keys() == frames
    for masks in ("foreground", "ground_truth/whole"):
        assert len(list(smaller.glob(f"{masks}/*/foreground.png"))) == num_frames
    assert len(list(smaller.glob("ground_truth/clean/*/*/*/*.jpg"))) == num_frames


def test_present_rendering_is_left_alone(smaller):
    before = {path: path.stat().st_mtime_ns for path in smaller.rglob("*")}
    assert build(SMALLER, 0, str(smaller.parents[1])) == smaller
    assert {path: path.stat().st_mtime_ns for path in smaller.rglob("*")} == before


def test_two_processes_render_once(tmp_path, smaller):
    outputs = [tmp_path / f"{number}.txt" for number in range(2)]
    asked = [start(partial(build, SMALLER, 0, tmp_path, workers=1), output) for output in outputs]
    for process in asked:
        process.join(120)
    texts = [output.read_text() for output in outputs]
    assert [process.exitcode for process in asked] == [0, 0], texts
    assert sorted(text.count("=> Rendered") for text in texts) == [0, 1]
    assert hash_tree(tmp_path / "occwalk" / NAME) == hash_tree(smaller)
    assert sorted(p.name for p in (tmp_path / "occwalk").iterdir()) == [f".{NAME}.lock", NAME]


def test_interrupted_rendering_is_absent_and_resumed(tmp_path, smaller, monkeypatch):
    rendered = []

    def stop_at_the_third(partial, spec, *arguments):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(spec)
        render_record(partial, spec, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(occwalk.build, "render_record", stop_at_the_third)
        build(SMALLER, 0, tmp_path, workers=1)
    assert not (tmp_path / "occwalk" / NAME).exists()
    data = tmp_path / "occwalk" / f".{NAME}.partial" / "data"
    images = {path.relative_to(data): path.stat().st_mtime_ns for path in data.glob("train/*/*/*")}
    assert images
    folder = build(SMALLER, 0, tmp_path, workers=1)
    assert hash_tree(folder) == hash_tree(smaller)
    # What was finished is not rendered again.
    assert {path: (folder / path).stat().st_mtime_ns for path in images} == images


def test_a_worker_renders_what_it_is_given(tmp_path, smaller, monkeypatch, capsys):
    specs = list_tracklets(SMALLER, 0)
    job = json.dumps({"partial": str(tmp_path), "preset": asdict(SMALLER), "seed": 0})
    monkeypatch.setattr(sys, "argv", ["worker", job])
    monkeypatch.setattr(sys, "stdin", io.StringIO("3\n1\n"))
    worker.main()
    assert capsys.readouterr().out == "3\n1\n"
    hashes = json.loads((smaller / "manifest.json").read_text())["tracklets"]
    for number, spec in enumerate(specs):
        record = read_record(tmp_path, spec)
        assert record is None or record["sha256"] == hashes[spec.folder]
        assert (record is not None) == (number in (1, 3))


# Reports every tracklet as rendered, and notes which.
OBEDIENT = """
import json, os, sys
for line in sys.stdin:
    with open(json.loads(sys.argv[1])["partial"] + f"/{os.getpid()}", "a") as file:
        file.write(line)
    print(line.strip(), flush=True)
"""


def test_workers_share_the_tracklets(tmp_path, monkeypatch):
    (tmp_path / "obedient.py").write_text(OBEDIENT)
    (tmp_path / "partial").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(parallel, "WORKER", "obedient")
    specs = list_tracklets(SMALLER, 0)
    bar = SimpleNamespace(update=(done := []).append)
    with (tmp_path / "lock").open("w") as lock:
        parallel.render_in_workers(tmp_path / "partial", specs, SMALLER, 0, 2, bar, lock)
    assert sorted(done) == sorted(spec.num_frames for spec in specs)
    given = [path.read_text().split() for path in (tmp_path / "partial").iterdir()]
    assert len(given) <= 2
    assert sorted(int(uid) for uids in given for uid in uids) == [spec.uid for spec in specs]


def test_worker_that_ends_early_is_an_error(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(parallel, "WORKER", "no_such_module")
    with pytest.raises(RuntimeError, match="status 1 at tracklet train/0001/000"):
        build(SMALLER, 0, str(tmp_path), workers=2)
    assert "no_such_module" in capfd.readouterr().err
    assert not (tmp_path / "occwalk" / NAME).exists()


def test_deleted_rendering_is_rendered_anew(tmp_path, smaller):
    stale = tmp_path / "occwalk" / f".{NAME}.partial" / "records"
    stale.mkdir(parents=True)
    (stale / "000000.json").write_text('{"sha256": "", "keypoints": {}, "occlusion": {}}')
    assert hash_tree(build(SMALLER, 0, str(tmp_path), workers=1)) == hash_tree(smaller)


def test_waits_for_the_holder_of_the_lock(tmp_path, capsys):
    (tmp_path / "occwalk").mkdir()
    with ThreadPoolExecutor(1) as pool:
        with (tmp_path / "occwalk" / f".{NAME}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            asked = pool.submit(build, SMALLER, 0, str(tmp_path), workers=1)
            said, deadline = "", time.monotonic() + 60
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
                said += capsys.readouterr().out
            assert said == f"=> Waiting for another process that renders {NAME}\n"
            assert not (tmp_path / "occwalk" / f".{NAME}.partial").exists()
        assert asked.result() == tmp_path / "occwalk" / NAME
    assert "=> Rendered" in capsys.readouterr().out


def test_root_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"smaller.*cannot be written.*Set data.root"):
        build(SMALLER, 0, str(tmp_path / "file"))
