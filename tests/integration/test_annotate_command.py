import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_command, start_and_kill

from torchreid_occ.annotate.networks import HEADS, Network
from torchreid_occ.annotate.quality import accuracy
from torchreid_occ.annotate.small_detectors import OccWalkPeople, train_small_detector
from torchreid_occ.cli import main
from torchreid_occ.data.supervision import Supervision, foreground_path
from torchreid_occ.data.tracklets import load_dataset, tracklets_of

TINY = Network("resnet18", 8, (8,), 64)


def run(*words, check=True):
    done = run_command(*words)
    assert not (check and done.returncode), done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Detectors that have hardly been trained: they find a person everywhere at low thresholds."""
    folder = tmp_path_factory.mktemp("weights")
    people = OccWalkPeople("occwalk_tiny", 1, 2)
    files = []
    for kind, option in zip(HEADS, ("--keypoint-weights", "--segmentation-weights"), strict=True):
        content, _ = train_small_detector(kind, people, 2, batch_size=2, network=TINY)
        torch.save(content, folder / f"{kind}.pth")
        files += [option, folder / f"{kind}.pth"]
    return [*files, "--min-score", 0, "--min-keypoint-score", -1000]


def test_supervision_of_a_dataset_and_its_report(weights, two_cameras, tmp_path, capsys):
    out = tmp_path / "supervision"
    words = ["-s", "sduvid", "--root", two_cameras, "--out", out, *weights, "--workers", 0]
    words = ["annotate", *map(str, words)]
    main([*words, "--tracklets", "1"])
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "report.md")
    tracklets = tracklets_of(load_dataset("sduvid", str(two_cameras)))
    paths = [path for items in tracklets.values() for path in items[0][0]]
    lines = json.loads((out / "keypoints.json").read_text())
    # Files are named alike, so persons and cameras are part of the names.
    assert list(lines) == ["/".join(Path(path).parts[-3:]) for path in dict.fromkeys(paths)]
    supervision = Supervision(str(out / "keypoints.json"), str(out / "foreground"))
    assert supervision.has("keypoints", paths[0])
    assert f"| all | {len(lines)} | 100.0 | 100.0 |" in (out / "report.md").read_text()
    with pytest.raises(SystemExit, match=r"^error: .* begun with another list of tracklets"):
        main(words)


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_a_killed_command_ends_with_the_same_files(weights, two_cameras, tmp_path):
    words = ["-s", "sduvid", "--root", two_cameras, *weights]
    words = [*map(str, words), "--out"]
    run("annotate", *words, tmp_path / "whole")
    out = tmp_path / "killed"
    records = map(json.loads, (tmp_path / "whole" / "frames.jsonl").read_text().splitlines())
    mapped = [record["frame"] for record in records if record["coverage"] is not None]
    for name in mapped[:: len(mapped) // 3][:3]:
        awaited = foreground_path(out / "foreground", name)
        start_and_kill(["annotate", *words, str(out)], awaited)
        assert not (out / "keypoints.json").exists()
    run("annotate", *words, out)
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.slow
def test_small_detectors_come_near_the_truth(tmp_path):
    for kind, steps in (("keypoints", 300), ("masks", 200)):
        words = ["--out", tmp_path / f"{kind}.pth", "--tracklets", 150, "--steps", steps]
        run("train-small-detector", kind, *words)
    run(
        "annotate", "-s", "occwalk_tiny", "--root", tmp_path, "--out", tmp_path / "supervision",
        "--tracklets", 4, "--keypoint-weights", tmp_path / "keypoints.pth",
        "--segmentation-weights", tmp_path / "masks.pth",
    )  # fmt: skip
    dataset = load_dataset("occwalk_tiny", str(tmp_path))
    frames = [p for items in tracklets_of(dataset).values() for item in items[:4] for p in item[0]]
    supervision = Supervision(
        str(tmp_path / "supervision" / "keypoints.json"),
        str(tmp_path / "supervision" / "foreground"),
    )
    values = accuracy(frames, supervision, dataset.supervision())
    for name, limit in (("shoulder row", 0.02), ("hip row", 0.02), ("knee row", 0.02)):
        assert len(values[name]) > 0.8 * len(frames)
        assert np.median(values[name]) < limit
    assert len(values["foreground"]) > 0.9 * len(frames)
    assert np.median(values["foreground"]) > 0.55
