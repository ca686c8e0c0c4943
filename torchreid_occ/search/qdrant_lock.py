"""Locks of galleries in Qdrant, records that name the one process that may change something."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from torchreid_occ.search.qdrant_connection import QdrantConnection

TIMEOUT = 600  # seconds for another process's change
LEASE = 120  # seconds without a sign of its holder after which a lock is taken over
_SIGNS = 4  # of a holder in that time
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between looks at another process's lock


@contextmanager
def locked(connection: QdrantConnection, name: str) -> Iterator["QdrantLock"]:
    """Lets one process at a time into the block.

    Args:
        connection: Connection to the gallery.
        name: What of the gallery is changed.

    Raises:
        TimeoutError: If others hold the lock for too long.
    """
    lock = QdrantLock(connection, name)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


class QdrantLock:
    """A record that names the one process that may change something.

    While it holds the lock, a thread gives signs that the process is alive. One that was killed
    leaves its lock. Others take it over when they have seen no sign for `LEASE` seconds by their
    own clock; a process that was paused for longer learns of it by `keep`.

    Args:
        connection: The connection.
        name: What the lock is for.
    """

    def __init__(self, connection: QdrantConnection, name: str) -> None:
        self._connection, self._key = connection, f"lock {name}"
        self._own, self._signs = uuid4().hex, 0
        self._one_at_a_time, self._resting = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._give_signs, daemon=True)

    def acquire(self) -> None:
        """Waits until the lock is this process's.

        Raises:
            TimeoutError: If that takes longer than `TIMEOUT`.
        """
        seen, since = "", time.monotonic()
        deadline, looks = since + TIMEOUT, 0
        while not self._take(""):
            holder, now = self._holder(), time.monotonic()
            if holder != seen:
                seen, since = holder, now
            elif holder and now - since > LEASE and self._take(holder):
                break
            if now > deadline:
                raise TimeoutError(
                    f"{self._connection.address} was given up after {TIMEOUT} s: others change it."
                )
            time.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
            looks += 1
        self._thread.start()

    def keep(self) -> None:
        """Gives a sign that the process is alive.

        Raises:
            OSError: If another process has taken the lock over.
        """
        with self._one_at_a_time:
            if not self._take(self._name()):
                raise OSError(
                    f"Another process changes {self._connection.address}, as this one was paused "
                    f"for more than {LEASE} s: nothing more is stored, repeat the call."
                )

    def rest(self) -> None:
        """Gives no more signs; what is left to do must take less than `LEASE`."""
        self._resting.set()
        self._thread.join()

    def release(self) -> None:
        """Frees the lock, if it still is this process's."""
        self.rest()
        self._connection.write_record(self._key, {"holder": ""}, where={"holder": self._name()})

    def _give_signs(self) -> None:
        while not self._resting.wait(LEASE / _SIGNS):
            try:
                self.keep()
            except OSError:  # the next call of `keep` says so
                return

    def _take(self, former: str) -> bool:
        self._signs += 1
        values = {"holder": self._name()}
        self._connection.write_record(self._key, values, where={"holder": former})
        if self._holder() == self._name():
            return True
        self._signs -= 1
        return False

    def _holder(self) -> str:
        return str(self._connection.record(self._key).get("holder", ""))

    def _name(self) -> str:
        return f"{self._own} {self._signs}"
