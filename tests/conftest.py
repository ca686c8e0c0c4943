"""Fixtures of all tests.

The process that only hands out tests reads this file, too, so what imports torch is imported where
it is used.
"""

import functools
import gc
import os

import pytest
from postgres_server import running_server
from qdrant_shards import shards_in

# Imports of libraries make no garbage; tests make little. With Python's own thresholds the
# collection of garbage takes a twentieth of the time.
gc.disable()


def pytest_collection_finish():
    """Lets collections of garbage skip the objects of imported libraries, and run seldom."""
    from torchreid_occ.utils.memory import keep_freed_memory

    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    keep_freed_memory()


def pytest_unconfigure():
    gc.unfreeze()  # otherwise libraries report leaks when the process ends


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """Hands out a module at a time, and at once all those that fork commands of one server."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return "commands" if forks_commands(config.rootpath / module) else module

    return Scheduling(config, log)


@functools.cache
def forks_commands(module):
    return "from commands import" in module.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory):
    from support import write_two_cameras

    return write_two_cameras(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def occwalk_root(tmp_path_factory):
    """The folder of `occwalk_tiny`, rendered once for all processes of a test run."""
    from torchreid_occ.occwalk import PRESETS
    from torchreid_occ.occwalk.build import build

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root = folder / "shared-occwalk"
    build(PRESETS["occwalk_tiny"], 0, str(root), workers=1)
    return root


@pytest.fixture(scope="session")
def postgres_server():
    """URL of a real server with pgvector, of this process's tests."""
    with running_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server, request):
    """Address of a gallery that no other test uses."""
    import psycopg

    schema = f"g{abs(hash(request.node.nodeid))}"
    yield f"{postgres_server}#{schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in (schema, f"{schema}_other"):
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def qdrant_url(monkeypatch):
    """Address of a gallery in Qdrant's own engine, without HTTP."""
    with shards_in() as shards:
        monkeypatch.setattr("torchreid_occ.search.qdrant_connection.connect", lambda _: shards)
        yield "qdrant://localhost:6333/people"


@pytest.fixture(params=["folder", "postgres", "qdrant"])
def gallery_place(request, tmp_path):
    """Where a gallery may be made: a folder, or an address of a server."""
    if request.param == "folder":
        return tmp_path / "gallery"
    return request.getfixturevalue(f"{request.param}_url")
