"""Downloads from a server of our own, and archives that try to leave their folder."""

import hashlib
import io
import os
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from torchreid_occ.cli import main
from torchreid_occ.data.download import fetch, unpack

CONTENT = bytes(range(256)) * 4000
PAGE = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT, whole or from an offset on."""

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        if self.path == "/absent.zip":
            self.send_error(404)
            return
        if self.path in self.server.answers:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.answers[self.path])
            return
        start = int(re.sub(r"\D", "", self.headers.get("Range") or "0"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        # The connection of /broken.zip ends early.
        self.wfile.write(CONTENT[start : 700_000 if self.path == "/broken.zip" else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges, server.answers = [], {}
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_fetch_to_a_file_and_into_a_folder(server, tmp_path):
    target = tmp_path / "new" / "data.bin"
    assert fetch(f"{server.url}/a.zip", target, DIGEST.upper()) == target
    assert target.read_bytes() == CONTENT
    assert fetch(f"{server.url}/sub/a%20b.zip?x=1", tmp_path) == tmp_path / "a b.zip"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a b.zip", "data.bin", "new"]


def test_fetch_again_only_checks(server, tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(CONTENT)
    assert fetch(f"{server.url}/a.zip", target, DIGEST) == target
    assert server.ranges == []
    target.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"has the SHA-256 .* Remove it to have it downloaded"):
        fetch(f"{server.url}/a.zip", target, DIGEST)
    assert target.read_bytes() == b"other"


def test_fetch_resumes_what_a_broken_connection_left(server, tmp_path):
    target = tmp_path / "a.zip"
    with pytest.raises(ConnectionError, match=r"(?s)could not be downloaded.*same call resumes"):
        fetch(f"{server.url}/broken.zip", target)
    (partial,) = tmp_path.glob("*.part")
    kept = partial.stat().st_size
    assert kept > 0
    fetch(f"{server.url}/a.zip", target, DIGEST)
    assert server.ranges[-1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a.zip", "data.tar.gz", "model.pth.tar-60", "data", "a.mat"])
@pytest.mark.parametrize(
    "answer",
    [PAGE, b"\xef\xbb\xbf\n<HTML>", b"<!-- x --><html>", b"<html " + bytes(200)],
    ids=["page", "capitals", "comment", "binary"],
)
def test_a_page_in_place_of_the_file_is_refused(server, tmp_path, name, answer):
    server.answers[f"/{name}"] = answer
    with pytest.raises(ValueError, match=rf"answered with a web page \(HTML\), not with {name}"):
        fetch(f"{server.url}/{name}", tmp_path)
    assert list(tmp_path.iterdir()) == []
    del server.answers[f"/{name}"]
    assert fetch(f"{server.url}/{name}", tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"error": "quota"}', "a JSON file"),
        (b"Too many users have viewed or downloaded this file.", "a text file"),
        (b"", "an empty file"),
    ],
)
def test_a_text_in_place_of_an_archive_is_refused(server, tmp_path, answer, kind):
    server.answers |= {"/a.zip": answer, "/splits.json": answer}
    with pytest.raises(ValueError, match=f"answered with {kind}"):
        fetch(f"{server.url}/a.zip", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert fetch(f"{server.url}/splits.json", tmp_path).read_bytes() == answer


def test_a_page_that_is_meant_is_kept(server, tmp_path):
    server.answers["/index.html"] = PAGE
    assert fetch(f"{server.url}/index.html", tmp_path).read_bytes() == PAGE


def test_a_page_of_an_earlier_call_is_replaced(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(PAGE)
    assert fetch(f"{server.url}/a.zip", tmp_path).read_bytes() == CONTENT


def test_an_archive_that_fails_its_check_is_not_there_next_time(server, tmp_path, capsys):
    arguments = ["fetch", f"{server.url}/a.zip", "--to", str(tmp_path), "--unpack"]
    with pytest.raises(SystemExit, match=r"a\.zip cannot be unpacked.* It was removed"):
        main(arguments)
    assert list(tmp_path.iterdir()) == []
    server.answers["/a.zip"] = make_zip(tmp_path / "x", ["d/right"]).read_bytes()
    main(arguments)
    assert (tmp_path / "d" / "right").is_file()
    main(arguments[:-1])
    assert "a.zip is already there." in capsys.readouterr().out


def test_a_file_with_another_hash_is_not_kept(server, tmp_path):
    with pytest.raises(ValueError, match=f"has the SHA-256 {DIGEST}, but expected {'0' * 64}"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_file_is_explained(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"absent\.zip could not be downloaded: 404"):
        fetch(f"{server.url}/absent.zip", tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "sha256", "message"),
    [
        ("ftp://host/a.zip", None, "expected one of http or https"),
        ("http://127.0.0.1/a.zip", "abc", "sha256='abc', but expected 64 hexadecimal digits"),
        ("http://127.0.0.1/", None, "ends in no file name"),
        ("http://127.0.0.1/a/..", None, "ends in no file name"),
    ],
)
def test_malformed_arguments(tmp_path, url, sha256, message):
    with pytest.raises(ValueError, match=message):
        fetch(url, tmp_path, sha256)


def test_google_drive_is_asked_for_the_name(tmp_path, monkeypatch):
    calls = []

    def download(url, output=None, skip_download=False, **options):
        calls.append(url)
        if skip_download:
            return type("File", (), {"path": "SDU-VID.zip"})
        return Path(output).write_bytes(CONTENT)

    monkeypatch.setattr("gdown.download", download)
    link = "https://drive.google.com/uc?id=1234567890"
    assert fetch(link, tmp_path, DIGEST) == tmp_path / "SDU-VID.zip"
    assert calls == [link, link]


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name in members:
            file.writestr(name, "x")
    return path


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = 0 if info.linkname else 1
            file.addfile(info, io.BytesIO(b"x"))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


needs_filter = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="this Python unpacks no tar file safely"
)


@pytest.mark.parametrize("make", [make_zip, pytest.param(make_tar, marks=needs_filter)])
def test_unpack(tmp_path, make):
    archive = make(tmp_path / "archive", ["data/a/1.png", "data/2.png", "readme.txt"])
    folder = tmp_path / "root" / "deep"
    assert unpack(archive, folder) == [folder / "data", folder / "readme.txt"]
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["data/2.png", "data/a/1.png", "readme.txt"]
    with pytest.raises(FileExistsError, match="data is already there: remove it"):
        unpack(archive, folder)


def test_unpack_into_a_folder_of_other_things(tmp_path):
    (tmp_path / "mars").mkdir()
    unpack(make_zip(tmp_path / "a.zip", ["SDU-VID/1.png"]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SDU-VID", "a.zip", "mars"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "..\\out", "C:/out", "\\out"])
def test_members_that_leave_the_folder_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "archive", ["good/1.png", name])
    with pytest.raises(ValueError, match="leaves the folder"):
        unpack(archive, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []
    assert not (tmp_path / "out").exists() and not Path("/out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd"])
def test_links_that_leave_the_folder_are_refused(tmp_path, kind, target):
    archive = make_tar(tmp_path / "a.tar", ["good/1.png", link("good/link", target, kind)], "w")
    with pytest.raises(ValueError, match=r"a\.tar cannot be unpacked"):
        unpack(archive, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


@needs_filter
def test_links_inside_the_folder_are_kept(tmp_path):
    archive = make_tar(tmp_path / "a.tar", ["d/1.png", link("d/link", "1.png", tarfile.SYMTYPE)])
    unpack(archive, tmp_path / "root")
    assert (tmp_path / "root/d/link").read_text() == "x"


def test_a_python_without_the_check_is_told(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with pytest.raises(ValueError, match=r"does not check .*update Python, or unpack it yourself"):
        unpack(make_tar(tmp_path / "a.tar", ["d/1.png"]), tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_members_below_a_link_are_refused(tmp_path):
    """Chains of links have led Python's own check astray (CVE-2025-4517)."""
    members = [link("d/link", "sub", tarfile.SYMTYPE), "d/link/1.png"]
    archive = make_tar(tmp_path / "a.tar", members)
    with pytest.raises(ValueError, match=r"member 'd/link/1.png' is below a link"):
        unpack(archive, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "data").symlink_to("absent")
    with pytest.raises(FileExistsError, match="data is already there"):
        unpack(make_zip(tmp_path / "a.zip", ["data"]), tmp_path / "root")
    assert (tmp_path / "root" / "data").is_symlink()


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no archive .*absent\.zip"):
        unpack(tmp_path / "absent.zip", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", "truncated"])
def test_what_is_no_archive_is_named(tmp_path, content):
    archive = tmp_path / "a.tar.gz"
    if content == "truncated":
        with tarfile.open(archive, "w:gz") as file:
            info = tarfile.TarInfo("big")
            info.size = 500_000
            file.addfile(info, io.BytesIO(os.urandom(500_000)))
        content = archive.read_bytes()[:200_000]
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar\.gz cannot be unpacked"):
        unpack(archive, tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_an_archive_larger_than_the_free_space_is_not_unpacked(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(5 * 2**20))
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    message = r"a\.zip cannot be unpacked .*it holds 5 MiB, but 1 MiB are free"
    with pytest.raises(OSError, match=message):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]


def test_the_command(server, tmp_path, capsys):
    arguments = ["fetch", f"{server.url}/a.zip", "--to", str(tmp_path / "data")]
    main([*arguments, "--sha256", DIGEST])
    assert capsys.readouterr().out.strip() == str(tmp_path / "data" / "a.zip")
    with pytest.raises(SystemExit, match=r"error: .*a\.zip cannot be unpacked"):
        main([*arguments, "--unpack"])
    make_zip(tmp_path / "data" / "a.zip", ["SDU-VID/1.png"])
    main([*arguments, "--unpack"])
    assert (tmp_path / "data" / "SDU-VID" / "1.png").read_text() == "x"
