"""What a gallery notes about itself."""

from pathlib import Path

from torchreid_occ._types import StrPath
from torchreid_occ.search.engines import Store, is_address


class GalleryNotes:
    """Where a gallery is, what its features come from, and how long they are kept.

    Args:
        address: Its folder, or its address on a server, without a password.
        store: Keeps the notes.

    Attributes:
        address: As given.
    """

    def __init__(self, address: str, store: Store) -> None:
        self.address, self._store = address, store

    @property
    def place(self) -> str:
        """Where the gallery is, for messages."""
        return f"the gallery in {self.address}"

    @property
    def folder(self) -> Path | None:
        """Folder of the gallery; None if it is on a server."""
        return None if is_address(self.address) else Path(self.address)

    @property
    def kind(self) -> str:
        """Kind of the index, one of ``KINDS``."""
        return self._store.about("kind")

    @property
    def checkpoint(self) -> Path | None:
        """Where the checkpoint was when tracklets were last indexed, if that is known."""
        path = self._store.about("checkpoint")
        return Path(path) if path else None

    def remember_checkpoint(self, checkpoint: StrPath) -> None:
        """Stores where the checkpoint is, so that queries need not name it.

        Args:
            checkpoint: The checkpoint.
        """
        path = str(Path(checkpoint).expanduser().absolute())
        if path != self._store.about("checkpoint"):
            self._store.set_about(checkpoint=path)

    @property
    def precisions(self) -> list[str]:
        """What the features were computed in, such as 'int8', as far as that was noted."""
        return (self._store.about("precisions") or "").split()

    def remember_precision(self, precision: str) -> None:
        """Notes what features are computed in that are added.

        Args:
            precision: ``TrackletExtractor.precision``.
        """
        if precision not in self.precisions:
            self._store.set_about(precisions=" ".join([*self.precisions, precision]))

    @property
    def retention(self) -> float | None:
        """Seconds after which tracklets are to be erased; None for no limit."""
        return self._store.about("retention")

    @retention.setter
    def retention(self, seconds: float | None) -> None:
        self._store.set_about(retention=seconds)
