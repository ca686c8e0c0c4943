"""Indexes and searches by a model: extracts features and passes them to a gallery."""

from collections.abc import Sequence
from pathlib import Path

from torchreid_occ._types import StrPath
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.protocol import Match, Searchable
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.progress import progress

BATCH = 64  # tracklets extracted and stored at a time


def add_to_gallery(
    folder: StrPath,
    tracklets: Sequence[GalleryTracklet],
    checkpoint: StrPath,
    kind: str | None = None,
) -> tuple[Gallery, int]:
    """Adds tracklets to the gallery in a folder, which is created if there is none.

    Args:
        folder: Folder of the gallery.
        tracklets: The tracklets; those already in the gallery are left as they are.
        checkpoint: Checkpoint of the model that extracts the features.
        kind: Kind of the index, see `Gallery.create`.

    Returns:
        The gallery and the number of tracklets added.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the gallery has features of another checkpoint, or a name is taken by
            other frames.
    """
    extractor = TrackletExtractor(checkpoint)
    gallery = Gallery.create(Path(folder), extractor.checkpoint_hash, extractor.feature_dim, kind)
    return gallery, index_tracklets(gallery, extractor, tracklets)


def index_tracklets(
    gallery: Gallery, extractor: TrackletExtractor, tracklets: Sequence[GalleryTracklet]
) -> int:
    """Adds the tracklets that a gallery lacks, batch by batch, and saves the index.

    Batches of a killed call stay. The same call continues with the same batches, and so with the
    same features.

    Args:
        gallery: The gallery.
        extractor: Extractor of the gallery's checkpoint.
        tracklets: The tracklets.

    Returns:
        The number of tracklets added.

    Raises:
        ValueError: If the extractor has another checkpoint, or a name is taken by other frames.
    """
    gallery.check_model(extractor.checkpoint_hash, extractor.feature_dim)
    ids = gallery.ids_of(tracklets)
    missing = [one for one, number in zip(tracklets, ids, strict=True) if number is None]
    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    for batch in progress(batches, "indexing", unit="batch"):
        features = extractor([tracklet.frames for tracklet in batch])
        gallery.add(batch, features.numpy(), extractor.checkpoint_hash)
    gallery.save_index()
    return len(missing)


def search_for(
    gallery: Searchable,
    extractor: TrackletExtractor,
    query: SearchQuery,
    top: int = 10,
    other_than_camera: int | None = None,
) -> list[Match]:
    """Finds the tracklets nearest to a query.

    Args:
        gallery: The tracklets that are searched.
        extractor: Extractor of the gallery's checkpoint.
        query: The query.
        top: Number of tracklets to find.
        other_than_camera: Camera whose tracklets are excluded.

    Raises:
        ValueError: If the extractor has another checkpoint, or the gallery is empty.
    """
    gallery.check_model(extractor.checkpoint_hash, extractor.feature_dim)
    if not len(gallery):
        raise ValueError(
            f"Nothing to find, as {gallery.place} is empty: index some tracklets first."
        )
    (feature,) = extractor([query.frames])
    return gallery.search(feature.numpy(), extractor.checkpoint_hash, top, other_than_camera)
