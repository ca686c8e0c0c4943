"""Each subcommand hands what it parsed to a function of the library, and shows the result."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from torchreid_occ.annotate import BlazePoseOptions, FinderOptions, annotate_dataset
from torchreid_occ.annotate.networks import HEADS
from torchreid_occ.annotate.small_detectors import save_small_detector
from torchreid_occ.cli import (
    annotate,
    convert,
    diagnose,
    export,
    main,
    occwalk,
    search_index,
    train_small_detector,
)
from torchreid_occ.cli.command import parse_command
from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.sorting import Sorting
from torchreid_occ.export import FORMATS, Exported
from torchreid_occ.footage import BoxSource, TrackletOptions
from torchreid_occ.models.released import RELEASED
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.report import write_report
from torchreid_occ.search import KINDS
from torchreid_occ.studies.comparison import compare
from torchreid_occ.studies.truth import TRUTHS
from torchreid_occ.upstream import export_part

SAVED = {"num_classes": 3, "config": {"model": {"options": {"stages": [2]}}}}
MADE = {"tracklets": {"a": {"frames": [1, 2]}, "b": {"frames": [1, 2, 3]}}, "frames": 9}
FINDER = FinderOptions("k.pth", None, 256, 0.4, 1.0)
COMPARISON = SimpleNamespace(table=lambda: "TABLE")
DEMO = SimpleNamespace(
    table="TABLE", table_path="log/table.md", pictures=[Path("log/p/a.png")], save_dir="x"
)
EXPORTED = SimpleNamespace(tree=Path("tree"), trial="trained a step", paths=[Path("a"), Path("b")])
# The command line, the function it calls, what that returns, the call, and what is printed.
SORTED = Sorting(
    Path("/o/tracklets.csv"), "MARS", {"train": 5, "query": 2, "gallery": 4}, (3, 2), 1, True
)
CALLS = [
    (
        "annotate -s mars --root r --out o --option path p --keypoint-weights k.pth --height 256 "
        "--min-score 0.4 --min-keypoint-score 1 --tracklets 2 --batch-size 4 --workers 1",
        "annotate.annotate_dataset", Path("o/report.md"),
        (("mars", "r", Path("o")), {
            "split_id": 0, "dataset_options": {"path": "p"}, "subsets": SUBSETS,
            "max_tracklets": 2, "finder_options": FINDER, "batch_size": 4, "workers": 1,
        }),
        "o/report.md\n",
    ),
    (
        "annotate -s mars --out o --network blazepose --model m.tflite --min-visibility 0.4 "
        "--subsets train query",
        "annotate.annotate_dataset", Path("o/report.md"),
        (("mars", "reid-data", Path("o")), {
            "split_id": 0, "dataset_options": {}, "subsets": ["train", "query"],
            "max_tracklets": None, "batch_size": 8, "workers": 2,
            "finder_options": BlazePoseOptions("m.tflite", min_visibility=0.4),
        }),
        "o/report.md\n",
    ),
    ("build-ops", "ops.build.build", True, ((), {}), ""),
    (
        "compare --suite a b --seeds 4 5 --splits 0 1 --root r --folder f --phases joint --jobs 2 "
        "--pretrain p",
        "studies.comparison.compare", COMPARISON,
        ((["a", "b"], [4, 5], [0, 1], "f", ["data.root", "r"], ["joint"], 2, "p"), {}),
        "\nTABLE\nTables and plots: f\n",
    ),
    (
        "convert rfcnet in out", "models.released.checkpoint.convert_checkpoint", SAVED,
        (("rfcnet", Path("in"), Path("out")), {}),
        "Wrote out: 3 identities, model.options {'stages': [2]}\n",
    ),
    (
        "demo", "studies.demo.run_demo", DEMO,
        (("configs/demo/rfcnet.yaml",), {}),
        "\nTABLE\nTable: log/table.md\nPictures: log/p\nLog: x\n"
        "Comparisons over seeds: make compare\n",
    ),
    (
        "export c.pth --format onnx --out m.onnx", "export.export_model", Exported(1e-6, 1, 1),
        ((Path("c.pth"), "onnx", Path("m.onnx"), "float32", None, None), {}),
        "Wrote m.onnx: features deviate by 1.0e-06 of the largest value at most.\n",
    ),
    (
        "export c.pth --format onnx --precision int8 -s mars own --root r --out m.onnx",
        "export.export_model", Exported(1e-6, 0.9995, 0.998, ["stages.0"]),
        ((Path("c.pth"), "onnx", Path("m.onnx"), "int8", ["mars", "own"], "r"), {}),
        "Wrote m.onnx: in int8, features of training tracklets have mean cosine 0.99950, least "
        "0.99800 to those in float32. Left in float32: stages.0.\n",
    ),
    (
        "sort own --out o --test-share 0.3 --seed 4", "data.sorting.sort_folder",
        SORTED,
        ((Path("own"), Path("o"), 0.3, 4), {}),
        "/o/tracklets.csv names 5 tracklets of 3 persons for training, 2 queries of 2 persons and "
        "4 in the gallery.\n"
        "Frames are named in the way of MARS; the subsets are drawn with seed 4.\n"
        "1 frames of false detections (00-1, -1) are left out.\n"
        "Next: torchreid-occ train --config-file configs/own/small.yaml --root /o\n",
    ),
    (
        "tracklets gate.mp4 --detector hog --camera 2 --out d --fps 5 --max-gap 2 --name noon",
        "footage.add_recording", MADE,
        ((
            Path("gate.mp4"), Path("d"), BoxSource(detector="hog"),
            TrackletOptions(2, frame_rate=5, max_gap=2), "noon",
        ), {}),
        "d has 2 tracklets of 2 to 3 frames from the 9 frames of gate.mp4.\n",
    ),
    (
        "train-small-detector masks --out m.pth --preset occwalk_tiny --seed 2 --tracklets 3 "
        "--steps 4",
        "annotate.small_detectors.save_small_detector", {"mask": 0.12345},
        (("masks", "m.pth", "occwalk_tiny", 2, 3, 4), {}),
        "m.pth, last losses: {'mask': 0.123}\n",
    ),
    (
        "upstream rfcnet --torchreid t --root r --out o", "upstream.export_part", EXPORTED,
        (("rfcnet", Path("o"), Path("t"), Path("r")), {}),
        "tree: trained a step\na\nb\n",
    ),
]  # fmt: skip


def test_options_of_another_network_are_refused():
    words = [
        "annotate",
        "-s",
        "mars",
        "--out",
        "o",
        "--network",
        "blazepose",
        "--height",
        "256",
        "--min-score",
        "0.5",
    ]
    with pytest.raises(SystemExit, match=r"--height, --min-score with --network blazepose, but"):
        main([*words, "--height", "256", "--min-score", "0.5"])
    with pytest.raises(SystemExit, match=r"--min-presence with --network rcnn, but expected it"):
        main(["annotate", "-s", "mars", "--out", "o", "--min-presence", "0.5"])


@pytest.mark.parametrize(
    ("words", "function", "result", "call", "output"), CALLS, ids=[c[0].split()[0] for c in CALLS]
)
def test_calls(words, function, result, call, output, monkeypatch, capsys):
    calls = []

    def called(*arguments, **keywords):
        calls.append((arguments, keywords))
        return result

    monkeypatch.setattr(f"torchreid_occ.{function}", called)
    main(words.split())
    assert calls == [call]
    assert capsys.readouterr().out == output


def test_draw_asks_for_frames_and_draws_them(monkeypatch, capsys):
    pictures = "torchreid_occ.visualization.pictures"
    monkeypatch.setattr(f"{pictures}.frames_of_tracklet", lambda *asked: list(asked))
    monkeypatch.setattr(f"{pictures}.draw_pictures", lambda *asked: [asked])
    main(["draw", "c.pth", "--tracklet", "3", "--frames", "2", "--out", "p"])
    frames = [Path("c.pth"), 3, 2]
    assert capsys.readouterr().out == f"{(Path('c.pth'), frames, Path('p'))}\n"
    main(["draw", "c.pth", "--tracklet", "lost/anna"])
    frames = [Path("c.pth"), Path("lost/anna"), 8]
    assert capsys.readouterr().out == f"{(Path('c.pth'), frames, Path('pictures'))}\n"


def test_occwalk_renders_shows_or_counts(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("torchreid_occ.occwalk.build.build", lambda *asked: asked)
    monkeypatch.setattr("torchreid_occ.occwalk.stats.describe", lambda folder: f"of {folder[1:]}")
    main(["occwalk", "--seed", "3", "--root", "r"])
    assert capsys.readouterr().out == f"{(PRESETS['occwalk_tiny'], 3, 'r')}\n"
    main(["occwalk", "--preset", "occwalk_full", "--stats"])
    assert capsys.readouterr().out == "of (0, 'reid-data')\n"
    main(["occwalk", "--preview", str(tmp_path / "sheet.png"), "--overlay"])
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_what_can_not_go_on_is_said_in_a_line(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("c++: no such option")

    monkeypatch.setattr("torchreid_occ.ops.build.build", fail)
    with pytest.raises(SystemExit, match=r"^error: c\+\+: no such option$"):
        main(["build-ops"])


def test_choices_are_those_of_the_library():
    assert sorted(convert.MODELS) == sorted(RELEASED)
    assert {*export.FORMATS} == {*FORMATS, "safetensors"}
    assert {*export.PRECISIONS} == {kind for one in FORMATS.values() for kind in one.precisions}
    assert search_index.KINDS == KINDS
    assert tuple(HEADS) == train_small_detector.KINDS
    assert occwalk.PRESETS == train_small_detector.PRESETS == tuple(PRESETS)
    assert diagnose.TRUTHS == TRUTHS


def defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def test_defaults_are_those_of_the_library():
    words = ["tracklets", "v", "--detector", "hog", "--camera", "1", "--out", "o"]
    tracklets = vars(parse_command(words).arguments)
    library = {**TrackletOptions._field_defaults, **defaults(BoxSource), "detector": "hog"}
    assert {name: tracklets[name] for name in library} == library
    parsed = parse_command(["annotate", "-s", "mars", "--out", "o"]).arguments
    library = defaults(annotate_dataset)
    assert (parsed.batch_size, parsed.workers) == (library["batch_size"], library["workers"])
    assert parsed.subsets == library["subsets"] == annotate.SUBSETS == SUBSETS
    for options in (FinderOptions, BlazePoseOptions):  # their defaults are left to the library
        assert not any(getattr(parsed, name) for name in options._fields)
    compared, library = parse_command(["compare", "--suite", "a"]).arguments, defaults(compare)
    assert tuple(compared.seeds) == library["seeds"]
    assert (compared.folder, compared.jobs) == (library["folder"], library["jobs"])
    small = parse_command(["train-small-detector", "masks", "--out", "m"]).arguments
    assert {
        "preset": small.preset,
        "seed": small.seed,
        "num_tracklets": small.tracklets,
        "steps": small.steps,
    } == defaults(save_small_detector)
    assert parse_command(["report", "x"]).arguments.queries == defaults(write_report)["queries"]
    upstream = parse_command(["upstream", "rfcnet", "--out", "o"]).arguments
    assert (upstream.torchreid, upstream.root) == tuple(defaults(export_part).values())
