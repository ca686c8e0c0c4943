"""The package's configurations are found by name from anywhere."""

from pathlib import Path

import pytest
from support import REPOSITORY

from torchreid_occ.config import files as config_files
from torchreid_occ.config import find_config, load_config, row_names


@pytest.mark.parametrize("name", ["demo/rfcnet.yaml", "configs/demo/rfcnet.yaml"])
def test_a_name_stands_for_the_file_of_the_package(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == REPOSITORY / "configs" / "demo" / "rfcnet.yaml"
    assert load_config(name) == load_config(REPOSITORY / "configs" / "demo" / "rfcnet.yaml")
    assert "srfc_a" in row_names("ablation/rfcnet/table9.yaml")


def test_an_own_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rfcnet.yaml").write_text("train: {lr: 0.5}\n")
    assert find_config("rfcnet.yaml") == Path("rfcnet.yaml")
    assert load_config("rfcnet.yaml").train.lr == 0.5


def test_an_own_file_builds_on_one_of_the_package_by_its_name(tmp_path):
    own = tmp_path / "configs" / "strips.yaml"
    own.parent.mkdir()
    for base, lr in (("base/demo.yaml", 0.5), ("ablation/rfcnet/table9.yaml#srfc_a", 0.25)):
        own.write_text(f"_BASE_: {base}\ntrain: {{lr: {lr}}}\n")
        expected = load_config(base, ["train.lr", str(lr)])
        assert load_config(own) == expected
    (own.parent / "base").mkdir()
    (own.parent / "base" / "demo.yaml").write_text("train: {max_epoch: 77}\n")
    own.write_text("_BASE_: base/demo.yaml\n")
    assert load_config(own).train.max_epoch == 77


def test_an_installed_package_has_them_inside(tmp_path, monkeypatch):
    inside = tmp_path / "torchreid_occ" / "configs"
    inside.mkdir(parents=True)
    (inside / "x.yaml").touch()
    monkeypatch.setattr(config_files, "FOLDERS", (inside, tmp_path / "configs"))
    assert find_config("x.yaml") == inside / "x.yaml"
    monkeypatch.setattr(config_files, "FOLDERS", (tmp_path / "none", tmp_path / "neither"))
    assert find_config("x.yaml") == Path("x.yaml")


@pytest.mark.parametrize("path", ["no_such.yaml", "/no/such.yaml", "configs/no_such.yaml"])
def test_other_names_are_errors_that_hold_the_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(path) == Path(path)
    with pytest.raises(FileNotFoundError, match=f"There is no configuration file .*{path}"):
        load_config(path)
