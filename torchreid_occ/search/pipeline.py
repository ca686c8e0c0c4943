"""Indexes and searches by a model: extracts features and passes them to a gallery."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchreid_occ._types import StrPath
from torchreid_occ.embedders import load_embedder
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.search.contents import Plan, plan_indexing
from torchreid_occ.search.feature_table import FeatureTable
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.judging import Judge
from torchreid_occ.search.protocol import Cameras, Match, Searchable, cameras_of
from torchreid_occ.search.query import SearchQuery
from torchreid_occ.search.same_frames import KnownFrames
from torchreid_occ.search.tracklets import GalleryTracklet
from torchreid_occ.utils.logs import logger
from torchreid_occ.utils.progress import progress

BATCH = 64  # tracklets extracted and stored at a time


class Indexed(NamedTuple):
    """What indexing did.

    Attributes:
        given: Number of tracklets that were to be indexed.
        added: Number of tracklets added.
        renewed: Number of tracklets whose features were replaced.
        plan: What was found; of a `FeatureTable` without what was added or has moved.
    """

    given: int
    added: int
    renewed: int
    plan: Plan


def add_to_gallery(
    place: StrPath,
    tracklets: Sequence[GalleryTracklet],
    checkpoint: StrPath,
    kind: str | None = None,
    renew: bool = False,
    backend: str | None = None,
    precision: str | None = None,
) -> tuple[Gallery, Indexed]:
    """Adds tracklets to a gallery, which is created if there is none.

    Args:
        place: Folder of the gallery, or its address on a server.
        tracklets: The tracklets; those already in the gallery are left as they are.
        checkpoint: Checkpoint of the model that extracts the features.
        kind: Kind of the index, see `Gallery.create`.
        renew: See `index_tracklets`.
        backend: See `TrackletExtractor`.
        precision: Likewise.

    Returns:
        The gallery, and what was done with the tracklets.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the gallery has features of another checkpoint, or a name is taken by
            other frames.
    """
    extractor = TrackletExtractor(checkpoint, backend=backend, precision=precision)
    gallery = Gallery.create(place, extractor.checkpoint_hash, extractor.feature_dim, kind)
    gallery.remember_checkpoint(extractor.checkpoint)
    return gallery, index_tracklets(gallery, extractor, tracklets, renew)


def add_features_to_gallery(
    place: StrPath,
    table: StrPath,
    checkpoint: StrPath,
    kind: str | None = None,
    renew: bool = False,
) -> tuple[Gallery, Indexed]:
    """Adds features that were extracted elsewhere to a gallery, which is created if there is none.

    Args:
        place: Folder of the gallery, or its address on a server.
        table: File or folder of a `FeatureTable`.
        checkpoint: Checkpoint of the model that extracted the features.
        kind: Kind of the index, see `Gallery.create`.
        renew: See `index_features`.

    Returns:
        The gallery, and what was done with the tracklets.

    Raises:
        FileNotFoundError: If there is no such checkpoint or table.
        ValueError: If the table is damaged or its features are of another checkpoint, as those of
            the gallery may be, or a name is taken by other frames.
    """
    features = FeatureTable(table)
    embedder = load_embedder(checkpoint)
    features.check_model(embedder.sha256, embedder.model.feature_dim, str(checkpoint))
    gallery = Gallery.create(place, features.checkpoint_hash, features.feature_dim, kind)
    gallery.remember_checkpoint(embedder.file)
    return gallery, index_features(gallery, features, renew)


def checkpoint_for(gallery: Gallery, given: StrPath | None = None) -> Path:
    """Returns the checkpoint for queries to a gallery.

    Args:
        gallery: The gallery.
        given: A checkpoint; the one with which the gallery was indexed if None.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If none is given and the gallery does not know one.
    """
    if given is not None:
        return Path(given)
    known = gallery.checkpoint
    if known is None:
        raise ValueError(
            f"Name the checkpoint of {gallery.place}: an earlier version made it, which did not "
            "store where that is. (Indexing again does.)"
        )
    if not known.is_file():
        raise FileNotFoundError(
            f"{gallery.place} was made with {known}, which is not there any more: name the "
            "checkpoint."
        )
    return known


def index_tracklets(
    gallery: Gallery,
    extractor: TrackletExtractor,
    tracklets: Sequence[GalleryTracklet],
    renew: bool = False,
) -> Indexed:
    """Adds the tracklets that a gallery lacks, batch by batch, and saves the index.

    Tracklets whose very frames are there under another name are left out. Batches of a killed call
    stay. The same call continues with the same batches, and so with the
    same features.

    Args:
        gallery: The gallery.
        extractor: Extractor of the gallery's checkpoint.
        tracklets: The tracklets.
        renew: Extract those anew, under new ids, whose frames have changed, or of whose frames an
            earlier version recorded nothing.

    Raises:
        FileNotFoundError: If a frame does not exist.
        ValueError: If the extractor has another checkpoint, or a name is taken by other frames.
    """
    gallery.check_model(extractor.checkpoint_hash, extractor.feature_dim)
    plan = plan_indexing(gallery, tracklets)
    if plan.moved:
        gallery.set_frames(plan.moved)
    work = _work_of(plan, renew)
    if work:
        gallery.remember_precision(extractor.precision)
        frames = sum(len(tracklet.frames) for tracklet, _ in work)
        logger.info("Indexing %d tracklets of %d frames, %d at a time.", len(work), frames, BATCH)
    batches = [work[start : start + BATCH] for start in range(0, len(work), BATCH)]
    for batch in progress(batches, "indexing", unit="batch"):
        own = [tracklet for tracklet, _ in batch]
        former = [number for _, number in batch if number is not None]
        features = extractor([tracklet.frames for tracklet in own]).numpy()
        gallery.add(own, features, extractor.checkpoint_hash, in_place_of=former)
    gallery.save_index()
    return Indexed(len(tracklets), len(plan.new), len(work) - len(plan.new), plan)


def index_features(gallery: Gallery, table: FeatureTable, renew: bool = False) -> Indexed:
    """Adds the tracklets of a table that a gallery lacks, block by block, and saves the index.

    No frame is read, nor need there be any. Blocks of a killed call stay, and the same call goes
    on.

    Args:
        gallery: The gallery.
        table: The table.
        renew: Replace the features of those, under new ids, whose frames had changed before they
            were extracted for the table.

    Raises:
        ValueError: If the table is damaged or of another checkpoint, or a name is taken by other
            frames.
    """
    gallery.check_model(table.checkpoint_hash, table.feature_dim)
    given = added = renewed = 0
    found = Plan([], {}, {}, {}, {}, {})
    for tracklets, features in progress(table.blocks(), "indexing", len(table), "block"):
        plan = plan_indexing(gallery, tracklets, read_frames=False)
        if plan.moved:
            gallery.set_frames(plan.moved)
        work = _work_of(plan, renew)
        if work:
            for precision in table.precisions:
                gallery.remember_precision(precision)
            rows = {tracklet.name: row for row, tracklet in enumerate(tracklets)}
            own = [tracklet for tracklet, _ in work]
            chosen = features[[rows[tracklet.name] for tracklet in own]]
            former = [number for _, number in work if number is not None]
            gallery.add(own, chosen, table.checkpoint_hash, in_place_of=former)
        given, added = given + len(tracklets), added + len(plan.new)
        renewed += len(work) - len(plan.new)
        found.changed.update(plan.changed)
        found.unknown.update(plan.unknown)
        found.other_camera.update(plan.other_camera)
        found.repeated.update(plan.repeated)
    gallery.save_index()
    return Indexed(given, added, renewed, found)


def _work_of(plan: Plan, renew: bool) -> list[tuple[GalleryTracklet, int | None]]:
    """Returns the tracklets to add, and the ids of those that they take the place of."""
    again = {**plan.changed, **plan.unknown} if renew else {}
    new: list[tuple[GalleryTracklet, int | None]] = [(one, None) for one in plan.new]
    return new + [(tracklet, number) for number, tracklet in again.items()]


def search_for(
    gallery: Searchable,
    extractor: TrackletExtractor,
    query: SearchQuery,
    top: int = 10,
    other_than_camera: Cameras = None,
    judge: Judge | None = None,
) -> list[Match]:
    """Finds the tracklets nearest to a query, itself included if it is in the gallery.

    Args:
        gallery: The tracklets that are searched.
        extractor: Extractor of the gallery's checkpoint.
        query: The query.
        top: Number of tracklets to find.
        other_than_camera: Camera whose tracklets are excluded, or several. A single one is taken to
            be the camera that saw the query.
        judge: Judges what is found.

    Raises:
        ValueError: If the extractor has another checkpoint, or the gallery is empty.
    """
    feature = _feature_of(gallery, extractor, query)
    found = gallery.search(feature, extractor.checkpoint_hash, top, other_than_camera)
    return found if judge is None else judge(feature, found, _camera_of(other_than_camera))


class Elsewhere(NamedTuple):
    """Where else a person was seen.

    Attributes:
        matches: The tracklets found, nearest first.
        same: Those left out, as they hold the frames of the query.
    """

    matches: list[Match]
    same: list[Match]


def search_elsewhere(
    gallery: Searchable,
    extractor: TrackletExtractor,
    query: SearchQuery,
    top: int = 10,
    other_than_camera: Cameras = None,
    judge: Judge | None = None,
) -> Elsewhere:
    """Finds the tracklets nearest to a query, without those that hold the same frames.

    Args:
        gallery: The tracklets that are searched.
        extractor: Extractor of the gallery's checkpoint.
        query: The query.
        top: Number of tracklets to find.
        other_than_camera: Camera whose tracklets are excluded, or several. A single one is taken to
            be the camera that saw the query.
        judge: Judges what is found.

    Raises:
        ValueError: If the extractor has another checkpoint, or the gallery is empty.
    """
    feature = _feature_of(gallery, extractor, query)
    known = KnownFrames(query)
    number = top
    while True:
        found = gallery.search(feature, extractor.checkpoint_hash, number, other_than_camera)
        same = [match for match in found if known.hold(match)]
        left = [match for match in found if match not in same]
        if len(left) >= top or len(found) < number:
            left = left[:top]
            if judge is not None:
                left = judge(feature, left, _camera_of(other_than_camera))
            return Elsewhere(left, same)
        number += top + len(same)


def _camera_of(other_than_camera: Cameras) -> int | None:
    """Returns the camera that saw a query: the one whose tracklets are excluded."""
    excluded = cameras_of(other_than_camera)
    return excluded[0] if len(excluded) == 1 else None


def _feature_of(
    gallery: Searchable, extractor: TrackletExtractor, query: SearchQuery
) -> npt.NDArray[np.float32]:
    """Extracts a query's feature: the mean over its tracklets, by their numbers of frames."""
    gallery.check_model(extractor.checkpoint_hash, extractor.feature_dim)
    if not len(gallery):
        raise ValueError(
            f"Nothing to find, as {gallery.place} is empty: index some tracklets first."
        )
    parts = query.parts or [query.frames]
    features = extractor([*parts]).numpy()
    if len(parts) == 1:
        feature: npt.NDArray[np.float32] = features[0]
        return feature
    return np.average(features, axis=0, weights=[len(part) for part in parts]).astype(np.float32)
