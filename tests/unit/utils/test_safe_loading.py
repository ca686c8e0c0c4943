"""Other people's checkpoints, and files that are none."""

import argparse
import collections
import datetime
import gzip
import io
import json
import pathlib
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.utils.checkpoint import load_checkpoint, load_matching_weights, load_weights
from torchreid_occ.utils.weights import WeightsUnavailable, torchvision_weights

WEIGHTS = nn.Linear(2, 3).state_dict()
ADVICE = ("weights_only", "safe_globals", "trust", "\x1b", "documentation")


def saved(tmp_path, content, **options):
    path = tmp_path / "weights.pth"
    torch.save(content, path, **options)
    return path


def refusal(path):
    with pytest.raises(ValueError, match=path.name) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert not [word for word in ADVICE if word in message], message
    return message


@pytest.mark.parametrize(
    "extra",
    [
        np.float32(0.25),
        np.float64(0.25),
        np.int64(60),
        np.bool_(True),
        np.str_("dürer"),
        np.bytes_(b"ab"),
        np.complex64(1 + 2j),
        np.linspace(0, 1, 50, dtype=np.float32),
        np.arange(6).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["a", "bcd"]),
        np.array([], np.float32),
        np.array(0.5),
        np.arange(4, dtype=">i2"),
        np.array([None, "x", 3], object),
        {"best": {"cmc": [np.float32(0.5), (np.arange(3), "mAP")]}},
        argparse.Namespace(lr=0.1, gpus=np.arange(2)),
        collections.OrderedDict(a=np.int32(1)),
        collections.defaultdict(list, {"loss": [1.0]}),
        datetime.datetime(2026, 11, 27, 16, 0),
        pathlib.PurePosixPath("log/model"),
        {1, 2},
    ],
    ids=lambda extra: f"{type(extra).__name__}-{np.shape(extra)}",
)
@pytest.mark.parametrize("zipped", [True, False])
def test_harmless_extras_are_read(tmp_path, extra, zipped):
    content = {"state_dict": WEIGHTS, "extra": extra, "epoch": 3}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=zipped)
    found = load_checkpoint(path)
    assert found["epoch"] == 3
    if isinstance(extra, np.ndarray):
        assert type(found["extra"]) is np.ndarray
        assert found["extra"].dtype == extra.dtype
        np.testing.assert_array_equal(found["extra"], extra)
    elif isinstance(extra, argparse.Namespace):
        assert found["extra"].lr == 0.1
        np.testing.assert_array_equal(found["extra"].gpus, extra.gpus)
    elif isinstance(extra, dict) and "best" in extra:
        np.testing.assert_array_equal(found["extra"]["best"]["cmc"][1][0], np.arange(3))
    else:
        assert found["extra"] == extra
    model = nn.Linear(2, 3)
    load_weights(model, path)
    assert torch.equal(model.weight, WEIGHTS["weight"])
    assert load_matching_weights(nn.Linear(2, 3), path)


def test_weights_may_be_arrays_of_numpy(tmp_path):
    path = saved(tmp_path, {name: weight.numpy() for name, weight in WEIGHTS.items()})
    model = nn.Linear(2, 3)
    load_weights(model, path)
    assert torch.equal(model.weight, WEIGHTS["weight"])


@pytest.mark.parametrize("count", [1, 50])
def test_files_of_python_2_are_read(tmp_path, count):
    """A numpy scalar and an array of up to 200 bytes or more, as torchreid's model zoo has them."""
    values = np.linspace(0, 1, count)
    path = saved(
        tmp_path,
        {"state_dict": WEIGHTS, "rank1": "PLACE", "cmc": "CURVE"},
        _use_new_zipfile_serialization=False,
    )

    def string(data):
        short = (
            b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<I", len(data))
        )
        return short + data

    def dtype(code):
        flags = (
            b"K\x00K\x01tR(K\x03" + string(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        )
        return b"cnumpy\ndtype\n(" + string(code) + flags

    scalar = b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"f4") + string(struct.pack("<f", 0.871))
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + string(b"b") + b"tR("
    )
    array += b"K\x01(K" + bytes([count]) + b"t" + dtype(b"f8") + b"I00\n" + string(values.tobytes())
    # Protocol 2 writes False by an opcode of its own.
    array = array.replace(b"I00\n", b"\x89")
    raw = path.read_bytes()
    raw = raw.replace(b"X\x05\x00\x00\x00PLACE", scalar + b"tR")
    raw = raw.replace(b"X\x05\x00\x00\x00CURVE", array + b"tb")
    path.write_bytes(raw)
    found = load_checkpoint(path)
    assert found["rank1"] == np.float32(0.871)
    np.testing.assert_array_equal(found["cmc"], values)
    assert torch.equal(found["state_dict"]["weight"], WEIGHTS["weight"])


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_paths_of_every_python_are_read(tmp_path, module):
    """Python 3.13 names paths by a module that neither earlier nor later ones have."""
    content = {"root": pathlib.PurePosixPath("reid-data")}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=False)
    own = pathlib.PurePosixPath.__module__
    names = [f"c{name}\nPurePosixPath\n".encode() for name in (own, module)]
    raw = path.read_bytes()
    assert names[0] in raw
    path.write_bytes(raw.replace(*names))
    assert load_checkpoint(path) == content


class Opens:
    """A pickle that would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_something_is_refused(tmp_path, zipped):
    content = {"state_dict": WEIGHTS, "extra": Opens(tmp_path / "made")}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "holds objects of io.open" in message or "holds objects of _io.open" in message
    assert "damaged" not in message
    assert not (tmp_path / "made").exists()


class Calls:
    """A pickle that would call a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [eval, getattr, print, exec, np.load, np.frombuffer, vars])
def test_functions_are_refused_by_name(tmp_path, function):
    message = refusal(saved(tmp_path, {"extra": Calls(function, "1")}))
    assert f"{function.__name__}" in message
    assert "damaged" not in message


def test_data_types_whose_flags_come_from_the_pickle_are_refused(tmp_path):
    record = np.zeros(2, [("place", "O")])
    assert "damaged" not in refusal(saved(tmp_path, {"extra": record}))
    state = (3, "|", None, ("f",), {"f": (np.dtype("O"), 0)}, 8, 1, 0)  # says: no objects

    class Lying:
        def __reduce__(self):
            return np.dtype, ("V8", False, True), state

    scalar = np.float64(0).__reduce__()[0]
    assert refusal(saved(tmp_path, {"extra": Calls(scalar, Lying(), b"\x01" * 8)}))


def test_objects_of_a_class_are_named(tmp_path):
    message = refusal(saved(tmp_path, {"model": nn.Linear(2, 3)}))
    assert "holds objects of torch.nn.modules.linear.Linear" in message
    assert "state_dict" in message


def test_what_torch_allowed_before_stays_as_it_was(tmp_path):
    before = torch.serialization.get_safe_globals()
    load_checkpoint(saved(tmp_path, {"extra": np.float32(1)}))
    refusal(saved(tmp_path, {"extra": nn.Linear(2, 3)}))
    assert torch.serialization.get_safe_globals() == before


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"))
    return buffer.getvalue()


def scripted():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 3), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


def arrays():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


TENSOR = {"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
HEADER = json.dumps(TENSOR).encode()
OTHERS = {
    "empty": (b"", "an empty file"),
    "page": (b"<!DOCTYPE html><html><title>Quota exceeded</title></html>", "a web page"),
    "page after a comment": (b"\n<!-- saved -->\n<html></html>", "a web page"),
    "page in capitals": (b"\xef\xbb\xbf<HTML><BODY>Sign in</BODY></HTML>", "a web page"),
    "JSON": (b'{"state_dict": {"weight": [1.0]}}', "a JSON file"),
    "text": (b"epoch 1 loss 2.0\n", "a text file"),
    "text that is not ASCII": ("Gewichte für später\n".encode(), "a text file"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
    "zip": (zipped(**{"weights/model.pth": b"x"}), r"a zip archive that holds weights/model\.pth"),
    "tar": (tarred(), "a tar archive"),
    "gzip": (gzip.compress(b"x"), "a gzip archive"),
    "arrays": (arrays(), r"arrays of NumPy \(\.npz\)"),
    "safetensors": (struct.pack("<Q", len(HEADER)) + HEADER + bytes(4), "a safetensors file"),
    "TorchScript": (scripted(), "a TorchScript archive"),
    "ONNX": (b"\x08\x0a\x12\x07pytorch\x1a\x062.15.0:\x10\n\x00", "an ONNX file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\x00\x00", "an HDF5 file"),
    "image": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG image"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_that_are_no_checkpoint_are_named(tmp_path, name):
    content, kind = OTHERS[name]
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    message = refusal(path)
    assert "damaged" not in message
    with pytest.raises(ValueError, match=kind):
        TrackletExtractor(path)


def test_a_pickle_that_torch_has_not_written_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"weight": [1.0]}, protocol=2))
    assert "pickle that torch.save has not written" in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_was_cut_off_is_called_so(tmp_path, zipped):
    path = saved(tmp_path, {"w": torch.zeros(2000)}, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:-3000])
    assert "is damaged, cut off" in refusal(path)


def test_a_folder_is_no_checkpoint(tmp_path):
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (WEIGHTS, "a state dict: the 2 weights of some model"),
        ({"state_dict": WEIGHTS, "epoch": 60, "rank1": np.float32(0.9)}, "one like torchreid's"),
        (torch.zeros(3), "a single Tensor"),
        ({"models": {"generator": WEIGHTS}, "config": {}}, "the networks generator"),
    ],
)
def test_checkpoints_that_name_no_model_are_told_apart(tmp_path, content, kind):
    with pytest.raises(ValueError, match=kind) as caught:
        TrackletExtractor(saved(tmp_path, content))
    assert "it lacks" in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_torchvisions_weights_are_refused_without_the_advice(tmp_path):
    class Weights:
        url = "https://download/weights.pth"

        def get_state_dict(self, **options):
            path = saved(tmp_path, {"model": nn.Linear(2, 3)})
            return torch.load(path, weights_only=True)

    with pytest.raises(WeightsUnavailable, match=r"Unsupported global: GLOBAL torch\.nn") as caught:
        torchvision_weights(Weights(), "weights", "train without")
    assert not [word for word in ADVICE if word in str(caught.value)]
