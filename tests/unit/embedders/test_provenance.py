"""What a checkpoint was trained on and how well it did, read from its run's folder."""

import json

import pytest
from support import pairs

from torchreid_occ.config import load_config, plain
from torchreid_occ.embedders.provenance import describe_run


def run_of(folder, sources, **settings):
    """The configuration of a run and the path of its checkpoint of epoch 3."""
    options = {"data.sources": repr(sources), "data.save_dir": str(folder), **settings}
    return load_config(None, pairs(options)), folder / "model" / "model.pth.tar-3"


def write_results(folder, config, selected_epoch=None):
    score = {"mAP": 0.4567, "cmc": {"1": 0.6, "5": 0.8}}
    checkpoints = {"selected": score, "last": {**score, "mAP": 0.4}}
    results = {"targets": {"mars": checkpoints}, "epochs": 5, "selected_epoch": selected_epoch}
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps({**results, "config": plain(config)}))


def test_a_run_on_real_people(tmp_path):
    config, path = run_of(tmp_path / "run", ["mars", "lsvid"])
    assert str(describe_run(path, config, 1467)) == (
        "model.pth.tar-3 was trained on 1,467 people of mars, lsvid; how well it did is not known, "
        "as its run's results.json is not beside it."
    )
    write_results(tmp_path / "run", config, selected_epoch=3)
    found = describe_run(path, config, 1467)
    assert found.results == "it had 45.7 mAP, 60.0 rank-1 on mars" and not found.warning
    write_results(tmp_path / "run", config, selected_epoch=4)
    assert "its run chose another checkpoint" in describe_run(path, config, 1467).results


@pytest.mark.parametrize(("sources", "rendered"), [
    (["occwalk_small"], True), (["occwalk_tiny", "occwalk_full.clean"], True),
    (["occwalk_small", "mars"], False),
])  # fmt: skip
def test_rendered_people_are_named_as_such(tmp_path, sources, rendered):
    config, path = run_of(tmp_path, sources)
    found = describe_run(path, config, 300)
    assert ("300 rendered people of" in found.trained_on) is rendered
    assert ("rendered people only" in found.warning) is rendered
    assert ("\nWarning: it has seen rendered people only" in str(found)) is rendered


@pytest.mark.parametrize("people, warned", [(99, True), (100, False), (None, False)])
def test_a_handful_of_people_is_warned_of(tmp_path, people, warned):
    config, path = run_of(tmp_path, ["mars"])
    assert ("it has seen 99 people only" in describe_run(path, config, people).warning) is warned


def test_a_copy_is_as_rendered_as_its_source(tmp_path):
    copies = [tmp_path / name for name in ("completed", "occluded")]
    sources = [
        {"name": "occluded", "options": {"path": str(copies[1])}},
        {"name": "occwalk_small", "options": {}},
    ]
    for copy, source in zip(copies, sources, strict=True):
        copy.mkdir()
        (copy / "manifest.json").write_text(json.dumps({"source": source}))
    options = {"data.options.completed.path": str(copies[0])}
    config, path = run_of(tmp_path, ["completed"], **options)
    assert "rendered people only" in describe_run(path, config, 300).warning
    (copies[0] / "manifest.json").unlink()
    assert not describe_run(path, config, 300).warning


def test_a_handful_of_people_is_too_few(tmp_path):
    config, path = run_of(tmp_path, ["tracklet_folder"])
    assert "it has seen 60 people only, too few" in describe_run(path, config, 60).warning
    assert not describe_run(path, config, 100).warning
    unknown = describe_run(path, config, None)
    assert unknown.trained_on == "people of tracklet_folder" and not unknown.warning
