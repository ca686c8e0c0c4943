import json

import pytest

from torchreid_occ.utils.documents import read_json, read_yaml


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "codec can't decode"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' is there twice"),
    ],
)
def test_faults_of_json_name_the_file(tmp_path, content, fault):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'Cannot read "{path}" as JSON: .*{fault}'):
        read_json(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a: [", "while parsing"),
        ("? " * 5000, "recursion"),
        ("2020-99-99: 1", "month must be"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: 1\nb: 2\na: 3", "the key 'a' is there twice"),
        ("a: &a [*a]", "aliases stand for more than 100000 values"),
        ("0x" + "f" * 5000, "a whole number of 20000 bits"),
    ],
)
def test_faults_of_yaml_name_the_file(tmp_path, content, fault):
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"(?s){path} is not readable YAML: .*{fault}"):
        read_yaml(path)


def test_few_aliases_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}")
    shared = {"x": [1, 2]}
    assert read_yaml(path) == {"a": shared, "b": shared, "c": {**shared, "y": 3}}


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="absent"):
        read(tmp_path / "absent")


def test_infinity_is_read_as_python_writes_it(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([float("inf"), None, "é"]))
    assert read_json(tmp_path / "a.json") == [float("inf"), None, "é"]
