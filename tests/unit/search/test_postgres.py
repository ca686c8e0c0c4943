"""Galleries in PostgreSQL: faults, secrets, and what is left after an erasure."""

import re
import threading
import time
from pathlib import Path

import numpy as np
import psycopg
import pytest

from torchreid_occ.search import Gallery, GalleryTracklet, postgres, postgres_connection
from torchreid_occ.search.postgres_address import PostgresAddress

HASH, DIM, COUNT = "a1" * 32, 64, 40
FEATURES = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype("f4")


def tracklets(numbers):
    return [
        GalleryTracklet(f"gallery/person-{n:04d}/1", (f"/frames/person-{n:04d}/1.jpg",), n % 3)
        for n in numbers
    ]


def fill(place, kind="exact", numbers=range(COUNT)):
    gallery = Gallery.create(place, HASH, DIM, kind)
    gallery.add(tracklets(numbers), FEATURES[[*numbers]], HASH)
    gallery.save_index()
    return gallery


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(postgres_connection, "WAITS", (0, 0))
    monkeypatch.setattr(postgres, "_WAITS", ())


@pytest.fixture
def administrator(postgres_url):
    """A connection beside the gallery's, in the gallery's schema."""
    address = PostgresAddress(postgres_url)
    with psycopg.connect(**address.parameters, autocommit=True) as connection:
        connection.execute(f"SET search_path = {address.schema}, public")
        yield connection


class Tries:
    """Counts connections; the first of them fail."""

    def __init__(self, monkeypatch, failing=0, message="connection refused"):
        self.count, connect = 0, psycopg.connect

        def counted(*words, **parameters):
            self.count += 1
            if self.count <= failing:
                raise psycopg.OperationalError(message)
            return connect(*words, **parameters)

        monkeypatch.setattr(psycopg, "connect", counted)


def test_a_server_that_is_away_is_tried_again_and_named(no_waiting, monkeypatch):
    tries = Tries(monkeypatch)
    with pytest.raises(ConnectionError, match=r"^postgresql://u@127.0.0.1:9/db cannot be reached:"):
        Gallery("postgresql://u:geheim@127.0.0.1:9/db")
    assert tries.count == 3


def test_a_server_that_comes_back_is_found(no_waiting, monkeypatch, postgres_url):
    fill(postgres_url)
    tries = Tries(monkeypatch, 2, "FATAL:  the database system is not yet accepting")
    assert len(Gallery(postgres_url)) == COUNT
    assert tries.count == 3


def test_who_is_not_let_in_is_not_tried_again(no_waiting, monkeypatch, postgres_server):
    tries = Tries(monkeypatch)
    with pytest.raises(ConnectionError, match=r'role "nobody" does not exist'):
        Gallery(postgres_server.replace("postgres:@", "nobody:geheim@"))
    with pytest.raises(ConnectionError, match=r'database "none" does not exist'):
        Gallery(postgres_server.replace("/postgres?", "/none?"))
    assert tries.count == 2


def test_a_lost_connection_is_renewed(no_waiting, postgres_url, administrator):
    gallery = fill(postgres_url)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    administrator.execute(f"{others} AND backend_type = 'client backend'")
    with pytest.raises(ConnectionError, match=r"was lost, and nothing of the change is stored"):
        gallery.add(tracklets([1]), FEATURES[1:2], HASH)
    assert gallery.search(FEATURES[2], HASH, 1)[0].id == 3
    assert gallery.add(tracklets([1]), FEATURES[1:2], HASH) == [2]


def on_insert(administrator, action):
    administrator.execute(
        f"CREATE FUNCTION fault() RETURNS trigger AS $$BEGIN {action} RETURN NEW; END$$ "
        "LANGUAGE plpgsql"
    )
    administrator.execute(
        "CREATE TRIGGER fault BEFORE INSERT ON tracklets FOR EACH ROW "
        "WHEN (NEW.id = 35) EXECUTE FUNCTION fault()"
    )


@pytest.mark.parametrize(
    "error",
    [
        "USING ERRCODE = 'disk_full'",
        "'could not write to file \"pg_wal/x\": No space left on device'",  # and the server ends
    ],
)
def test_a_full_disk_leaves_nothing_half_done(postgres_url, administrator, error):
    gallery = fill(postgres_url, numbers=range(20))
    on_insert(administrator, f"RAISE EXCEPTION {error};")
    with pytest.raises(OSError, match=r"The disk of postgresql://.* is full, and nothing of the"):
        gallery.add(tracklets(range(20, COUNT)), FEATURES[20:], HASH)
    administrator.execute("DROP TRIGGER fault ON tracklets")
    assert len(gallery) == 20
    assert gallery.add(tracklets([20]), FEATURES[20:21], HASH) == [21]


def test_a_slow_server_is_given_up(monkeypatch, postgres_url, administrator):
    fill(postgres_url, numbers=range(20))
    monkeypatch.setattr(postgres_connection, "TIMEOUT", 0.2)
    gallery = Gallery(postgres_url)
    on_insert(administrator, "PERFORM pg_sleep(5);")
    with pytest.raises(TimeoutError, match=r"was given up after 0.2 s: canceling statement"):
        gallery.add(tracklets(range(20, COUNT)), FEATURES[20:], HASH)
    assert len(gallery) == 20


def test_a_writer_waits_for_another(monkeypatch, postgres_url):
    one, other = fill(postgres_url, numbers=range(3)), Gallery(postgres_url)
    with one._store.transaction():
        adding = threading.Thread(target=other.add, args=(tracklets([4]), FEATURES[4:5], HASH))
        adding.start()
        time.sleep(0.2)
        assert len(one) == 3 and adding.is_alive()
    adding.join(10)
    assert len(one) == 4
    monkeypatch.setattr(postgres_connection, "TIMEOUT", 0.2)
    impatient = Gallery(postgres_url)
    with one._store.transaction(), pytest.raises(TimeoutError, match=r"given up after 0.2 s"):
        impatient.remove([1])


def test_old_versions_are_refused(monkeypatch, postgres_url):
    fill(postgres_url)
    with monkeypatch.context() as patch:
        patch.setattr(postgres_connection, "_OLDEST", 99)
        with pytest.raises(ValueError, match=r"is PostgreSQL 1\d, but 99 or later is needed"):
            Gallery(postgres_url)
    monkeypatch.setattr(postgres, "EXTENSION", (9, 1))
    with pytest.raises(ValueError, match=r"has pgvector 0\.\d+\.\d+, but 9.1 or later is needed"):
        Gallery(postgres_url)


@pytest.fixture
def bare(postgres_server, administrator):
    """Address of a database without the extension, of a user without rights."""
    administrator.execute("CREATE DATABASE bare")
    administrator.execute("CREATE ROLE plain LOGIN")
    yield postgres_server.replace("postgres:@/postgres?", "plain:@/bare?")
    administrator.execute("DROP DATABASE bare WITH (FORCE)")
    administrator.execute("DROP ROLE plain")


def test_a_missing_extension_says_what_to_do(monkeypatch, bare):
    with pytest.raises(PermissionError, match=r"let an administrator run CREATE EXTENSION vector"):
        Gallery.create(bare, HASH, DIM)
    administrators = bare.replace("plain", "postgres")
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_CREATE_EXTENSION", "CREATE EXTENSION not_installed")
        with pytest.raises(ValueError, match=r"^The server of .* has no pgvector: install it"):
            Gallery.create(administrators, HASH, DIM)
    with pytest.raises(FileNotFoundError, match="There is no gallery"):
        Gallery(bare)
    Gallery.create(administrators, HASH, DIM)
    with pytest.raises(PermissionError, match="may not use the schema"):
        Gallery(bare)


@pytest.mark.parametrize(
    "url, fault",
    [
        ("postgresql://u:ge@heim@host/db", "several @"),
        ("postgresql://u:ge#heim@host/db", "The gallery's name, after #"),
        ("postgresql://u:geheim@[host/db", "no URL of PostgreSQL"),
        ("postgresql://u:geheim@host/db?geheim=1", "no URL of PostgreSQL"),
        ("postgresql://u:geheim@host/db#Größe", "lower-case letters"),
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(url, fault):
    with pytest.raises(ValueError, match=fault) as refused:
        Gallery(url)
    assert not re.search("ge.?heim", f"{refused.value}{refused.value.__cause__}")


def test_an_address_as_a_path_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match="and is text: as a path it loses a slash") as refused:
        Gallery(Path("postgresql://u:geheim@host/db"))
    assert "geheim" not in str(refused.value)


def test_an_address_is_shown_without_the_password():
    address = PostgresAddress("postgresql://anna:ge%40heim@host:5433/db#cams")
    assert address.parameters["password"] == "ge@heim"
    assert str(address) == repr(address) == "postgresql://anna@host:5433/db#cams"
    assert str(PostgresAddress("postgresql:///db?password=geheim&host=/run")) == (
        "postgresql:///db?host=/run"
    )
    assert address.without_password("'ge@heim' failed") == "'***' failed"


def test_galleries_of_one_database_are_apart(postgres_url):
    other = postgres_url + "_other"
    fill(postgres_url), fill(other, numbers=range(3))
    assert (len(Gallery(postgres_url)), len(Gallery(other))) == (COUNT, 3)
    assert Gallery(other).search(FEATURES[5], HASH)[0].tracklet.name != tracklets([5])[0].name


def test_a_graph_never_gives_fewer_than_there_are(postgres_url):
    rng = np.random.default_rng(1)
    gallery = Gallery.create(postgres_url, HASH, 8, "hnsw")
    features = rng.standard_normal((3000, 8)).astype("f4")
    rows = [GalleryTracklet(f"t{n}", ("/1.jpg",), int(n % 300 == 0)) for n in range(3000)]
    gallery.add(rows, features, HASH)
    gallery.save_index()
    # Ten rows of camera 1; the scan is ended long before it has met them.
    gallery._store._rows("ALTER DATABASE postgres SET hnsw.max_scan_tuples = 100")
    gallery = Gallery(postgres_url)
    for query in features[1:6]:
        found = gallery.search(query, HASH, 20, other_than_camera=0)
        assert sorted(match.id for match in found) == [*range(1, 3001, 300)]
    assert len(gallery.search(features[0], HASH, 1500)) == 1500
    gallery._store._rows("ALTER DATABASE postgres RESET hnsw.max_scan_tuples")


@pytest.mark.parametrize("dim, fits", [(2048, True), (4001, False)])
def test_long_features_have_graphs_up_to_a_length(postgres_url, dim, fits):
    features = np.random.default_rng(2).standard_normal((30, dim)).astype("f4")
    gallery = Gallery.create(postgres_url, HASH, dim, "hnsw")
    gallery.add(tracklets(range(30)), features, HASH)
    if fits:
        gallery.save_index()
    else:
        with pytest.raises(ValueError, match="at most 4000 values, but these have 4001"):
            gallery.save_index()
    exact = features @ features[3] / np.linalg.norm(features, axis=1)
    found = gallery.search(features[3], HASH, 30)
    assert [match.id - 1 for match in found] == np.argsort(-exact).tolist()


def holding(server, number):
    """Names of the files of tables that hold anything of a tracklet."""
    unit = FEATURES[number] / np.linalg.norm(FEATURES[number])
    traces = [unit[:16].tobytes(), unit[40:].tobytes(), f"person-{number:04d}".encode()]
    with psycopg.connect(server, autocommit=True) as connection:
        ((folder,),) = connection.execute("SHOW data_directory").fetchall()
        connection.execute("CHECKPOINT")
    return [
        path
        for path in Path(folder, "base").rglob("*")
        if path.is_file() and any(trace in path.read_bytes() for trace in traces)
    ]


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_an_erasure_leaves_nothing_in_the_tables(
    postgres_server, postgres_url, kind, administrator
):
    gallery = fill(postgres_url, kind)
    administrator.execute("ANALYZE")
    assert len(holding(postgres_server, 7)) >= (2 if kind == "exact" else 3)
    gallery.remove([9])
    gallery.erase([8], "id")
    assert holding(postgres_server, 7) == holding(postgres_server, 8) == []
    assert holding(postgres_server, 10)
    ((entry,),) = administrator.execute("SELECT entry FROM audit").fetchall()
    assert '"tracklets": 1' in entry and "person-" not in entry
    assert len(gallery.search(FEATURES[7], HASH, COUNT)) == COUNT - 2


def test_a_session_that_still_sees_the_erased_is_named(postgres_url, administrator, no_waiting):
    gallery = fill(postgres_url)
    address = PostgresAddress(postgres_url)
    with psycopg.connect(**address.parameters) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute(f"SELECT count(*) FROM {address.schema}.about")
        process = reader.info.backend_pid
        with pytest.raises(OSError, match=rf"still see .*{process}\): repeat the call"):
            gallery.erase([8], "id")
        assert not administrator.execute("SELECT * FROM audit").fetchall()
    assert gallery.erase([8], "id") == 1
    ((entry,),) = administrator.execute("SELECT entry FROM audit").fetchall()
    assert '"tracklets": 1' in entry
