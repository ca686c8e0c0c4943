from pathlib import Path

import pytest

from torchreid_occ.config import load_config
from torchreid_occ.runs import folder as folder_module
from torchreid_occ.runs import phases as module
from torchreid_occ.runs.phases import phase_configs, run_config

PHASES = """
data: {save_dir: SAVE}
train: {max_epoch: 7}
phases:
  - name: first
    model: {name: baseline}
  - name: found
    task: score
    take: {completion.extractor: first}
  - name: copied
    task: copy
    take: {completion.scores: found}
  - name: last
    data: {sources: [completed]}
    take: {data.options.completed.path: copied}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(PHASES.replace("SAVE", str(tmp_path / "run")))
    return load_config(path)


def test_each_phase_is_a_configuration_on_top_of_the_rest(config, tmp_path):
    found = phase_configs(config)
    run = tmp_path / "run"
    assert [*found] == ["first", "found", "copied", "last"]
    assert found["first"].model.name == "baseline"
    assert found["found"].model.name == "rfcnet"
    assert found["found"].completion.extractor == str(run / "first/model/model.pth.tar-7")
    assert found["copied"].completion.scores == str(run / "found/scores.csv")
    assert found["last"].data.options["completed"]["path"] == str(run / "copied/copy")
    assert {name: phase.data.save_dir for name, phase in found.items()} == {
        name: str(run / name) for name in found
    }
    assert all(phase.train.max_epoch == 7 and not phase.phases for phase in found.values())


def test_a_phase_is_changed_by_its_name(tmp_path):
    base, path = tmp_path / "base.yaml", tmp_path / "config.yaml"
    base.write_text(PHASES)
    path.write_text("_BASE_: base.yaml\nphases: {first: {train: {lr: 0.5}}}\n")
    words = ["phases.first.train.max_epoch", "3", "phases.last.model.name", "baseline"]
    found = phase_configs(load_config(path, words))
    assert (found["first"].train.lr, found["first"].train.max_epoch) == (0.5, 3)
    assert (found["last"].model.name, found["last"].train.max_epoch) == ("baseline", 7)
    with pytest.raises(KeyError, match=r"no phases \['none'\], but \['first', 'found'"):
        load_config(path, ["phases.none.train.lr", "1"])


def test_completion_stays_with_the_phases_that_read_it(config):
    phases = [{"name": "a"}, {"name": "b", "task": "score"}]
    found = phase_configs(load_config(None, ["phases", str(phases), "completion.tau", "0.5"]))
    assert found["a"].completion.tau == 0.89
    assert found["b"].completion.tau == 0.5


@pytest.mark.parametrize(
    ("phases", "error", "message"),
    [
        ([{"task": "score"}], ValueError, "Phase 1 has the name None"),
        ([{"name": "a"}, {"name": "a"}], ValueError, "Phase 2 has the name 'a'"),
        ([{"name": "a", "take": {"model.pretrained": "b"}}], ValueError, r"takes from \['b'\]"),
        ([{"name": "a", "modell": {}}], KeyError, r"phase a: modell does not exist"),
        ([{"name": "a", "take": {"model.x": "a"}}], ValueError, r"takes from \['a'\]"),
    ],
)
def test_phases_that_are_not_well_formed(phases, error, message):
    with pytest.raises(error, match=message):
        phase_configs(load_config(None, ["phases", str(phases)]))


def test_a_name_in_the_list_is_the_phase_of_the_file_built_on(tmp_path):
    base, more = tmp_path / "base.yaml", tmp_path / "more.yaml"
    base.write_text("phases: [{name: a, train: {lr: 0.5}}, {name: b}]")
    more.write_text("_BASE_: base.yaml\nphases: [a, {name: c, take: {model.pretrained: a}}, b]")
    found = phase_configs(load_config(more))
    assert list(found) == ["a", "c", "b"]
    assert found["a"].train.lr == 0.5
    more.write_text("_BASE_: base.yaml\nphases: [a, d]")
    with pytest.raises(KeyError, match=r"no phases \['d'\], but \['a', 'b'\]"):
        load_config(more)


def test_phases_must_be_a_list():
    with pytest.raises(ValueError, match="phases is 'all', but must be a list of named parts"):
        load_config(None, ["phases", "all"])


@pytest.fixture
def ran(monkeypatch):
    """Names of the phases that were run; the one named in `fail` fails; results by folder."""
    names = []

    def run(config, resume=False, demo=None):
        name = config.data.save_dir.rpartition("/")[2]
        if name == names_to_fail.get("fail"):
            raise RuntimeError("killed")
        names.append((name, resume))
        finished[config.data.save_dir] = {"name": name}
        return finished[config.data.save_dir]

    finished, names_to_fail = {}, {}
    for reader in (module, folder_module):
        monkeypatch.setattr(reader, "finished_run", lambda c: finished.get(c.data.save_dir))
    monkeypatch.setattr(module, "run_experiment", run)
    monkeypatch.setattr(module, "TASKS", dict.fromkeys(module.TASKS, run))
    return names, names_to_fail, finished


def test_finished_phases_are_skipped_when_a_run_goes_on(config, ran):
    names, fail, _ = ran
    fail["fail"] = "copied"
    with pytest.raises(RuntimeError):
        run_config(config)
    assert names == [("first", False), ("found", False)]
    fail.clear()
    config = load_config(Path(config.data.save_dir, "config.yaml"))  # as --resume reads it
    results = run_config(config, resume=True)
    assert names[2:] == [("copied", True), ("last", True)]
    assert [*results] == ["first", "found", "copied", "last"]


def test_a_phase_that_has_finished_is_not_run_over(config, ran):
    folder = Path(config.data.save_dir)
    (folder / "found").mkdir(parents=True)
    (folder / "found" / "results.json").write_text("{}")
    with pytest.raises(
        FileExistsError, match=f"{folder} holds a run already: continue it with resume=True"
    ):
        run_config(config)
    assert not ran[0] and not (folder / "config.yaml").exists()


def test_a_changed_phase_is_refused_and_the_run_can_go_on(config, ran):
    folder = Path(config.data.save_dir)
    run_config(config)
    (folder / "found").mkdir()
    (folder / "found/config.yaml").write_text(phase_configs(config)["found"].dump())
    for finished in ("found", "copied"):
        ran[2].pop(str(folder / finished))
    changed = load_config(folder / "config.yaml", ["phases.found.completion.tau", "0.3"])
    with pytest.raises(ValueError, match=r"found holds a run of another .*tau was .* and is 0\.3"):
        run_config(changed, resume=True)
    config = load_config(folder / "config.yaml")  # as --resume reads it
    assert [*run_config(config, resume=True)] == ["first", "found", "copied", "last"]


def test_a_phase_whose_source_has_run_again_is_refused(config, ran):
    folder = Path(config.data.save_dir)
    for name in ("first", "found", "copied", "last"):
        (folder / name).mkdir(parents=True)
        (folder / name / "results.json").write_text(name)
    run_config(config, resume=True)
    run_config(config, resume=True)
    (folder / "found" / "results.json").write_text("made again")
    with pytest.raises(ValueError, match=r"'copied' took from \['found'\].*remove .*copied"):
        run_config(config, resume=True)
    (folder / "copied" / "made_from.json").unlink()
    run_config(config, resume=True)


def test_one_phase_alone(config, ran):
    names, *_ = ran
    run_config(config, only="found")
    assert names == [("found", True)]
    with pytest.raises(ValueError, match=r"no phase 'x'.*'first', 'found', 'copied', 'last'"):
        run_config(config, only="x")
    with pytest.raises(ValueError, match=r"no phase 'x': the configuration has \[\]"):
        run_config(load_config(), only="x")


def test_a_configuration_without_phases_is_one_task(ran, tmp_path):
    names, *_ = ran
    run_config(load_config(None, ["data.save_dir", str(tmp_path / "own"), "task", "score"]))
    assert names == [("own", False)]
