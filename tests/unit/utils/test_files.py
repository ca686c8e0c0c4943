import json
from hashlib import sha256

import pytest

from torchreid_occ.utils.files import (
    check_replaceable,
    claim_folder,
    file_hash,
    naming,
    remove_partial_files,
    replacing,
    write_json,
)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"mAP": 0.5})
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == {"mAP": 0.5}
    assert [item.name for item in tmp_path.iterdir()] == ["results.json"]


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    write_json(tmp_path / "whole.json", 1)
    (tmp_path / ".whole.json.abc.partial").touch()
    remove_partial_files(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["whole.json"]


def test_folders_are_made_and_files_are_readable_by_others(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"name": "é"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "é"}
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_that_cannot_be_written_is_named_itself(tmp_path, monkeypatch):
    path = tmp_path / "made" / "results.json"
    check_replaceable(path)
    assert [*path.parent.iterdir()] == []

    def refuse(dir, prefix, suffix):
        raise PermissionError(13, "Permission denied", f"{dir}/{prefix}x{suffix}")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    for write in (check_replaceable, lambda path: write_json(path, 1)):
        with pytest.raises(PermissionError) as refused:
            write(path)
        assert refused.value.filename == str(path)
        with pytest.raises(IsADirectoryError) as refused:
            write(tmp_path)
        assert refused.value.filename == str(tmp_path)


def test_a_file_is_hashed_as_a_whole(tmp_path):
    content = bytes(3 * 2**20 + 7)
    (tmp_path / "a").write_bytes(content)
    assert file_hash(tmp_path / "a") == sha256(content).hexdigest()


def test_a_folder_is_claimed_for_one_plan(tmp_path):
    folder = tmp_path / "made"
    claim_folder(folder, {"of": "a", "by": "b"}, "thing")
    claim_folder(folder, {"of": "a", "by": "b"}, "thing")
    with pytest.raises(ValueError, match="holds a thing that was begun with another by: remove"):
        claim_folder(folder, {"of": "a", "by": "c"}, "thing")
    with pytest.raises(ValueError, match="is not empty and holds no thing"):
        claim_folder(tmp_path, {}, "thing")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".plan.json.x.partial").touch()  # of a process killed early
    claim_folder(tmp_path / "new", {}, "thing")


def test_errors_of_the_system_without_a_path_get_one():
    with (
        pytest.raises(OSError, match=r"\[Errno 28\] No space left on device: 'a/b'"),
        naming("a/b"),
    ):
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError, match="'other'"), naming("a/b"):
        raise FileNotFoundError(2, "No such file", "other")
    with pytest.raises(OSError, match=r"^no number$"), naming("a/b"):
        raise OSError("no number")


def test_a_half_written_plan_is_replaced(tmp_path):
    (tmp_path / ".plan.json.x.partial").write_text("{")
    claim_folder(tmp_path, {"seed": 1}, "copy")
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]
    (tmp_path / "plan.json").write_text("[]")
    with pytest.raises(ValueError, match=r"plan\.json is no plan of a copy"):
        claim_folder(tmp_path, {"seed": 1}, "copy")
