"""From tracklets to a gallery and back: what extracts features for it."""

from collections.abc import Sequence

from torchreid_occ.search.gallery import Gallery, Match
from torchreid_occ.search.query import Query
from torchreid_occ.search.tracklets import Tracklet
from torchreid_occ.utils.progress import progress

BATCH = 64  # tracklets that are extracted and kept at a time


def index_tracklets(gallery: Gallery, extractor, tracklets: Sequence[Tracklet]) -> int:
    """Adds tracklets that a gallery lacks, batch by batch, and its index.

    What a killed run has added stays; another run goes on after it with the same batches, and so
    to the same features.

    Args:
        gallery: The gallery.
        extractor: A ``TrackletExtractor`` of the gallery's checkpoint.
        tracklets: The tracklets.

    Returns:
        How many were added.

    Raises:
        ValueError: If the extractor is another, or a name is taken by other frames.
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
    gallery: Gallery, extractor, query: Query, top: int = 10, other_than_camera: int | None = None
) -> list[Match]:
    """Finds the tracklets of a gallery nearest to a query.

    Args:
        gallery: The gallery.
        extractor: A ``TrackletExtractor`` of the gallery's checkpoint.
        query: What to search for.
        top: How many.
        other_than_camera: A camera whose tracklets are left out.

    Raises:
        ValueError: If the extractor is another, or the gallery is empty.
    """
    gallery.check_model(extractor.checkpoint_hash, extractor.feature_dim)
    if not len(gallery):
        raise ValueError(f"The gallery in {gallery.folder} is empty: index some tracklets first.")
    (feature,) = extractor([query.frames])
    return gallery.search(feature.numpy(), extractor.checkpoint_hash, top, other_than_camera)
