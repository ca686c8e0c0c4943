"""Malformed files: some that earlier versions mishandled, and thousands of random ones."""

import io
import tarfile
import zipfile

import pytest
import torch

from nightly.fuzzing import fuzz
from nightly.readers import READERS
from nightly.sandbox import READ, REFUSED, Sandbox

pytestmark = pytest.mark.nightly


def archive(*names, encrypted=False):
    """A zip archive, on request with the flag of an encrypted one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    content = buffer.getvalue()
    return (
        content.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1") if encrypted else content
    )


def tar(*members):
    """A tar archive of pairs of a name and the target of a link, or an empty text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE if target else tarfile.REGTYPE, target
            file.addfile(info, io.BytesIO())
    return buffer.getvalue()


def checkpoint(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


DEEP = b"[" * 100_000
LAUGHS = (
    b"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [%s]\nc: &c [%s]\nd: &d [%s]\ne: &e [%s]\nf: [%s]"
    % tuple(b",".join([b"*" + name] * 10) for name in (b"a", b"b", b"c", b"d", b"e"))
)
# Inputs that readers once accepted, or refused by another error or without naming the file.
FOUND = {
    "images": [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 24\n%%EndComments\n"],
    "key points": [DEEP, b'{"a.jpg": null, "a.jpg": [1, 1, 1, 1]}'],
    "splits": [DEEP],
    "results": [
        b"",
        b"null",
        b"{}",
        b'{"config": {"train": {"max_epoch": 1}}, "targets": [1]}',
        DEEP,
    ],
    "manifests": [b"", b"null", b"{}", b'{"source": null}', DEEP],
    "configurations": [
        *(b"_BASE_: null", b"_BASE_: 5", b"_BASE_: [{}]", b'_BASE_: "\\0"', b"2020-99-99: 1"),
        *(b"!!timestamp x", b"train: {seed: 0b}", b"? " * 5000, LAUGHS, b"a: &a [*a]"),
        *(b"train: {lr: .nan}", b"data: {norm_mean: [1]}", b"train: {}\ntrain: {lr: 1}"),
        b"train: {lr: 1" + b"0" * 400 + b"}",
    ],
    "tracklet tables": [
        b"path,pid,camid,split\n0.png,p0,0,train",
        b"path,pid,camid,split\n0.png,p0," + b"9" * 5000 + b",train",
    ],
    "scores": [b"", b"\x97", b'"', b"\0"],
    "checkpoints": [b"\x80", b"\x80\x02b", b"\x80\x02r\0\0\0\0"],
    "models": [checkpoint(None), checkpoint({"config": None, "num_classes": 2, "state_dict": {}})],
    "zip archives": [archive("."), archive("a", encrypted=True), archive("a", "a/b")],
    "tar archives": [
        tar((".", "")),
        tar(("link", "a"), ("link/x", "")),
        tar(("a", ""), ("a/b", "")),
    ],
}


@pytest.mark.parametrize("name", FOUND)
def test_inputs_that_were_once_mishandled_are_refused(name):
    with Sandbox(READERS[name]) as sandbox:
        for content in FOUND[name]:
            assert (sandbox.outcome(content).kind, content) == (REFUSED, content)


@pytest.mark.parametrize("name", READERS)
def test_thousands_of_malformed_files(name):
    outcomes, _, failures = fuzz(name, 10_000 // len(READERS), seed=1)
    assert not failures
    assert min(outcomes[READ], outcomes[REFUSED]) > 0


@pytest.mark.parametrize(
    ("misbehaves", "kind", "detail"),
    [
        ("import time; time.sleep(60)", "hang", "no answer"),
        ("import os; os._exit(3)", "crash", "status 3"),
        ("raise TypeError", "error", "TypeError"),
        ("raise ValueError('no name')", "unnamed", "ValueError"),
        ("assert False", "wrong", "AssertionError"),
        (
            "from pathlib import Path; Path('/tmp/hard-use-escape').touch()",
            "escape",
            "hard-use-esc",
        ),
        ("import os; os.system('true')", "escape", "os.system"),
        ("path.write_text('x')", "changed", "weights.pth"),
    ],
)
def test_the_sandbox_detects_misbehaviour(misbehaves, kind, detail, monkeypatch):
    if kind == "hang":
        monkeypatch.setattr("nightly.sandbox.SECONDS", 0.5)
    reader = READERS["checkpoints"]._replace(read=lambda path: exec(misbehaves, {"path": path}))
    with Sandbox(reader) as sandbox:
        outcome = sandbox.outcome(b"x")
        assert (outcome.kind, detail in outcome.detail) == (kind, True)
        assert sandbox.outcome(b"x").kind == kind  # after a restart
