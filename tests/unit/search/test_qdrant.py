"""Galleries in Qdrant, through HTTP: faults, secrets, locks, and what is left after an erasure."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from qdrant_client.models import VectorParams
from qdrant_server import running_qdrant

from torchreid_occ.search import Gallery, GalleryTracklet, qdrant_connection, qdrant_lock
from torchreid_occ.search.documents import IDENTITIES
from torchreid_occ.search.qdrant_address import KEY, QdrantAddress
from torchreid_occ.search.qdrant_lock import locked

HASH, DIM = "a1" * 32, 16
FEATURES = np.random.default_rng(0).standard_normal((300, DIM)).astype("f4")


def tracklets(numbers):
    return [
        GalleryTracklet(f"gallery/person-{n:04d}/1", (f"/person-{n:04d}/1.jpg",), n % 3)
        for n in numbers
    ]


def fill(place, kind="exact", numbers=range(20)):
    gallery = Gallery.create(place, HASH, DIM, kind)
    gallery.add(tracklets(numbers), FEATURES[[*numbers]], HASH)
    return gallery


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setattr(qdrant_connection, "WAITS", (0, 0))
    with running_qdrant() as server:
        yield server


def url_of(server):
    return f"qdrant://127.0.0.1:{server.server_port}/people"


@pytest.fixture
def url(server):
    return url_of(server)


def test_a_gallery_is_made_changed_and_searched(server, url):
    gallery = fill(url, "hnsw", range(300))  # more than one request each
    assert gallery.address == str(QdrantAddress(url)) == url and gallery.folder is None
    assert [*Gallery(url).tracklets()] == [*enumerate(tracklets(range(300)), start=1)]
    assert len({number for number, *_ in gallery.entries()}) == len(gallery) == 300
    gallery.remove([2])
    gallery.set_frames({3: tracklets([2])[0]._replace(frames=("/moved.jpg",))})
    gallery.documents.write("notes", b"\x00")
    assert Gallery(url).documents.read("notes") == b"\x00"
    found = gallery.search(FEATURES[2], HASH, 300, other_than_camera=1)
    assert len(found) == 200 and found[0].tracklet.frames == ("/moved.jpg",)
    gallery.documents.write("notes", None)
    assert gallery.erase([3], "id") == 1
    assert gallery.documents.read("notes") is None and len(gallery) == 298


def test_a_graph_never_gives_fewer_than_there_are(server, url):
    gallery = fill(url, "hnsw")
    server.client.graph = 4
    assert gallery.search(FEATURES[0], HASH, 2)[0].id == 1
    before = len(server.requests)
    assert len(gallery.search(FEATURES[0], HASH, 20)) == 20
    queries = [one for one in server.requests[before:] if one.endswith("/points/query")]
    assert len(queries) == 2


def test_a_change_is_one_request(server, url):
    gallery = fill(url)
    before = len(server.requests)
    gallery.add(tracklets([1, 30]), FEATURES[[1, 30]], HASH, in_place_of=[2, 5])
    changes = [one for one in server.requests[before:] if "people/points" in one]
    assert [one.rpartition("/")[2] for one in changes if "batch" in one or "PUT" in one] == [
        "batch"
    ]
    assert sorted({*range(1, 23)} - {*gallery.ids().tolist()}) == [2, 5]


def test_an_error_in_a_change_leaves_it_undone(url):
    gallery = fill(url)
    store = gallery._store
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.remove([1])
        store.add(tracklets([40]), FEATURES[:1])
        store.set_about(kind="hnsw")
        raise KeyboardInterrupt
    assert gallery.ids().tolist() == [*range(1, 21)] and gallery.kind == "exact"
    assert gallery.add(tracklets([41]), FEATURES[:1], HASH) == [22]  # 21 was given and is skipped


def test_the_key_is_sent_and_never_shown(server, url, monkeypatch, capsys):
    server.key = "geheim"
    with pytest.raises(PermissionError, match=f"does not allow this: put the API key into .*{KEY}"):
        Gallery.create(url, HASH, DIM)
    monkeypatch.setenv(KEY, "falsch")
    with pytest.raises(PermissionError, match="does not allow this") as refused:
        Gallery.create(url, HASH, DIM)
    assert "falsch" not in str(refused.value) and "\n" not in str(refused.value)
    monkeypatch.setenv(KEY, "geheim")
    with pytest.warns(UserWarning, match="insecure connection"):
        gallery = fill(url)
    gallery.erase([1], "id")
    shown = f"{gallery.place} {gallery.address} {gallery.documents.place_of('x')}"
    points, _ = server.client.scroll("people.records", limit=100)
    shown += "".join(str(point.payload) for point in points) + "".join(capsys.readouterr())
    assert "geheim" not in shown and '"tracklets": 1' in shown.replace("'", '"')


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("qdrant://geheim@host/people", f"takes no key: put it into the variable {KEY}"),
        ("qdrant://:geheim@host:6333/people", "takes no key"),
        ("qdrant://host:geheim/people", "is qdrant://host:port/name"),
        ("qdrant://host/people?key=geheim", "is qdrant://host:port/name"),
        ("qdrant://host", "is qdrant://host:port/name"),
        ("qdrant:///geheim", "is qdrant://host:port/name"),
        ("qdrants://host/geheim/x", "is qdrant://host:port/name"),
        ("qdrants://host/geheim.1", "the name consists of letters, digits, _ and -"),
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(text, fault):
    with pytest.raises(ValueError, match=re.escape(fault)) as refused:
        Gallery(text)
    assert "geheim" not in f"{refused.value}{refused.value.__cause__}"
    with pytest.raises(ValueError, match="and is text: as a path it loses a slash") as refused:
        Gallery(Path(text))
    assert "geheim" not in str(refused.value)


def test_addresses():
    address = QdrantAddress("qdrants://Vectors.example/cams-2")
    assert (address.url, address.name) == ("https://vectors.example:6333", "cams-2")
    assert str(address) == repr(address) == "qdrants://vectors.example:6333/cams-2"
    assert QdrantAddress("qdrant://[::1]:7/a").url == "http://[::1]:7"


def test_a_server_that_is_away_is_tried_again_and_named(server, url):
    fill(url)
    server.faults += [(503, "starting"), (429, "too many")]
    assert len(Gallery(url)) == 20
    server.faults += 3 * [(503, "starting")]
    with pytest.raises(OSError, match=rf"^{url} cannot do this \(503\): .*starting"):
        Gallery(url)
    with pytest.raises(ConnectionError, match=r"^qdrant://127.0.0.1:9/x cannot be reached \("):
        Gallery("qdrant://127.0.0.1:9/x")


def test_a_full_disk_and_other_faults_change_nothing(server, url):
    gallery = fill(url)
    send = gallery._store._send

    def failing(status, text):
        def failed(changes):
            server.faults.append((status, text))
            send(changes)

        gallery._store._send = failed
        return lambda: gallery.add(tracklets([30]), FEATURES[:1], HASH)

    with pytest.raises(OSError, match=rf"^The disk of {url} is full: repeat the call once"):
        failing(500, "Service internal error: No space left on device")()
    with pytest.raises(OSError, match=r"cannot do this \(400\): .*Wrong input"):
        failing(400, "Wrong input")()
    gallery._store._send = send
    assert len(gallery) == 20 and gallery.add(tracklets([30]), FEATURES[:1], HASH) == [23]
    for name in ("people", "people.records"):
        (own,) = [one for one in server.client.get_aliases().aliases if one.alias_name == name]
        server.client.delete_collection(own.collection_name)
    with pytest.raises(FileNotFoundError, match=r"There is no gallery in .* any more"):
        gallery.get([1])


def test_old_servers_and_other_collections_are_refused(server, url):
    server.version = "1.15.5"
    with pytest.raises(ValueError, match=r"is Qdrant 1.15.5, but 1.16 or later is needed"):
        Gallery(url)
    server.version = "1.16.0"
    server.client.create_collection(
        "people", vectors_config={"x": VectorParams(size=1, distance="Dot")}
    )
    with pytest.raises(FileNotFoundError, match="There is no gallery in"):
        Gallery(url)
    with pytest.raises(ValueError, match="is a collection, but no gallery: choose another name"):
        Gallery.create(url, HASH, DIM)


def test_a_creation_that_was_killed_is_continued(server, url):
    for request in range(30):
        server.faults = Faults([None] * request + [(400, "killed"), (400, "killed")])
        try:
            Gallery.create(url, HASH, DIM)
        except OSError:
            continue
        break
    assert request > 8
    server.faults = []
    assert fill(url)._store.last_id() == 20
    assert {one.rpartition("/")[2] for one in server.requests} >= {"index", "aliases"}
    assert len(server.client.get_collections().collections) == 2


class Faults(list):
    """Answers in place of the server's; None is the server's own."""

    def __bool__(self):
        if len(self) and self[0] is None:
            self.pop(0)
            return False
        return len(self) > 0


def test_a_writer_waits_for_another(url, monkeypatch):
    one, other = fill(url), Gallery(url)
    adding = threading.Thread(target=other.add, args=(tracklets([50]), FEATURES[:1], HASH))
    with one._store.transaction():
        adding.start()
        adding.join(0.3)
        assert adding.is_alive() and len(one) == 20
    adding.join(10)
    assert len(one) == 21
    monkeypatch.setattr(qdrant_lock, "TIMEOUT", 0.1)
    with one._store.transaction(), pytest.raises(TimeoutError, match=r"after 0.1 s: others change"):
        other.remove([1])


@pytest.fixture
def paused(monkeypatch):
    """Locks give no signs, as those of a process that is paused or was killed."""
    monkeypatch.setattr(qdrant_lock, "LEASE", 0.2)
    monkeypatch.setattr(qdrant_lock.QdrantLock, "_give_signs", lambda _: None)


def test_the_lock_of_a_killed_writer_is_taken_over(url, paused):
    gallery, other = fill(url), Gallery(url)
    fault = r"as this one was paused for more than 0.2 s: nothing more is stored, repeat the call"
    with pytest.raises(OSError, match=fault), other._store.transaction():
        other._store.remove([1])
        assert gallery.add(tracklets([50]), FEATURES[:1], HASH) == [21]
    assert gallery.ids().tolist() == [*range(1, 22)]
    with locked(gallery._store.connection, "tracklets"):  # it is free again
        pass
    with pytest.raises(OSError, match=fault), other.documents.locked():
        with gallery.documents.locked():
            gallery.documents.write("notes", b"one")
        other.documents.write("notes", b"two")
    assert gallery.documents.read("notes") == b"one"


def test_a_process_at_work_keeps_the_lock(url, monkeypatch):
    monkeypatch.setattr(qdrant_lock, "LEASE", 0.4)
    monkeypatch.setattr(qdrant_lock, "TIMEOUT", 1)
    one, other = fill(url), Gallery(url)
    with locked(one._store.connection, "tracklets"), pytest.raises(TimeoutError):
        other.remove([1])
    other.remove([1])
    assert len(one) == 19


def test_ids_are_given_once_even_without_a_lock(url):
    one, other = fill(url)._store, Gallery(url)._store
    last_id = one.last_id
    one.last_id = lambda: (last_id(), other._claim(3))[0]  # in between
    with pytest.raises(OSError, match=r"at the same time: nothing is stored, repeat the call"):
        one._claim(2)
    assert other.last_id() == 23


def held_in(folder):
    """Numbers of the tracklets of which files hold anything, and names of those files."""
    units = FEATURES[:12] / np.linalg.norm(FEATURES[:12], axis=1)[:, None]
    found = {}
    for path in folder.rglob("*"):
        content = path.read_bytes().replace(bytes(4096), b"") if path.is_file() else b""
        for number, unit in enumerate(units):
            if f"person-{number:04d}".encode() in content or unit[2:4].tobytes() in content:
                found.setdefault(number, set()).add(path.name)
    return found


def test_an_erasure_leaves_nothing_in_the_files(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with running_qdrant(tmp_path) as server:
        gallery = fill(url_of(server), numbers=range(10))
        people = b'{"people": {"1": ["gallery/person-0007/1"]}, "merged": [], "split": []}'
        gallery.documents.write(IDENTITIES, people)
        gallery.remove([9])
        before = held_in(tmp_path)
        # In the log, the vectors, the payloads, and the index of names.
        assert before[7] == before[8] and len(before[8]) == 3 and "open-1" in before[8]
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(qdrant_lock.QdrantLock, "keep", lambda _: 1 / 0)
            gallery._store.scrub()  # ends while it copies
        assert gallery.erase([8], "id") == 1
        assert sorted(held_in(tmp_path)) == [*range(7), 9]
        names = {one.name for one in server.client.get_collections().collections}
        assert names == {"people.2", "people.records.2"}
        assert gallery.ids().tolist() == [*range(1, 8), 10]
        assert gallery.add(tracklets([7]), FEATURES[7:8], HASH) == [11]
        gallery.erase([11], "id")  # and once more
        assert len(server.client.get_collections().collections) == 2
