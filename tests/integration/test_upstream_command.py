"""Parts exported to either layout of torchreid, in which a step is trained."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import run_after_torch, run_command
from support import write_upstreams_torchreid

from torchreid_occ._torchreid import torchreid
from torchreid_occ.upstream import Tree, export, find_part, trial, try_out
from torchreid_occ.upstream.part import TABLES

EXPORTED = [
    name
    for table in TABLES.values()
    for name in table
    if name != "completed" and not name.startswith("occwalk")
]


@pytest.fixture
def _after_torch(monkeypatch):
    """Trials do not import torch anew; those of the command, below, do."""

    def run(command, cwd, env, **_):
        interpreter, option, code, *words = command
        assert (interpreter, option) == (sys.executable, "-c")
        return run_after_torch(code, *words, cwd=cwd, env=env)

    monkeypatch.setattr(trial, "subprocess", SimpleNamespace(run=run))


@pytest.mark.usefixtures("_after_torch")
def test_a_model_trains_a_step_in_upstreams_layout(tmp_path):
    part, tree = find_part("rfcnet"), Tree(write_upstreams_torchreid(tmp_path))
    said = try_out(export(part, tree), part, tree)
    assert said.startswith("imported and trained a step, loss ")


@pytest.mark.usefixtures("_after_torch")
def test_a_dataset_trains_a_step_in_pypis_layout(two_cameras):
    part, tree = find_part("sduvid"), Tree(Path(torchreid.__file__).parent)
    said = try_out(export(part, tree), part, tree, two_cameras)
    assert said.startswith("imported and trained a step, loss ")


NEEDY = """
_build = baseline


def baseline(*args, **kwargs):
    import torchreid_occ.version

    return _build(*args, **kwargs)
"""


@pytest.mark.slow
def test_what_still_needs_the_package_is_refused(tmp_path):
    part, tree = find_part("baseline"), Tree(write_upstreams_torchreid(tmp_path))
    exported = export(part, tree)
    needy = exported._replace(source=exported.source + NEEDY)
    # Whether it can be imported there depends on how it is installed.
    with pytest.raises(RuntimeError, match=r"it imports torchreid_occ|No module named"):
        try_out(needy, part, tree)


def run(*words):
    return run_command("upstream", *words)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["pypi", "upstream"])
@pytest.mark.parametrize("name", EXPORTED)
def test_the_command_writes_what_it_has_tried(name, layout, two_cameras, tmp_path):
    words = [name, "--out", tmp_path / "export"]
    if layout == "upstream":
        words += ["--torchreid", write_upstreams_torchreid(tmp_path)]
    has_data = name == "sduvid"
    done = run(*words, *(("--root", two_cameras) if has_data else ()))
    assert done.returncode == 0, done.stderr
    said, path, *patch = done.stdout.splitlines()
    assert ("trained a step" in said) == (name in TABLES["model"] or has_data)
    assert path.endswith(f"/{name}.py")
    assert all(map(Path.is_file, map(Path, [path, *patch])))


@pytest.mark.slow
def test_a_refused_part_is_answered_in_a_line(tmp_path):
    done = run("completed", "--out", tmp_path / "export")
    assert done.returncode == 1
    assert done.stderr.startswith("error: completed cannot be exported: it reads the output")
    assert not (tmp_path / "export").exists()
