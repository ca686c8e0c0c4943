"""Presets: the sizes of the benchmark."""

from dataclasses import dataclass

# Part of every random key and every folder name; to be raised if any rendered pixel changes.
VERSION = 1


@dataclass(frozen=True)
class Preset:
    """Numbers of people, cameras and frames of a rendering.

    Attributes:
        name: Folder and dataset name.
        train_identities: Identities of the training set.
        test_identities: Identities of query and gallery.
        distractor_identities: Identities of the gallery without a query.
        cameras: Number of cameras.
        sightings: Number of cameras that each person walks past.
        queries_per_identity: Query tracklets of a test identity, each from another camera.
        max_tracklets: A camera has one to this many train or gallery tracklets of a passing person.
        frames: Fewest and most frames of a tracklet.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
    """

    name: str
    train_identities: int
    test_identities: int
    distractor_identities: int
    cameras: int
    sightings: int
    queries_per_identity: int
    max_tracklets: int
    frames: tuple[int, int]
    height: int
    width: int


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="occwalk_tiny",
            train_identities=16,
            test_identities=16,
            distractor_identities=4,
            cameras=3,
            sightings=3,
            queries_per_identity=2,
            max_tracklets=2,
            frames=(8, 16),
            height=128,
            width=64,
        ),
        Preset(
            name="occwalk_small",
            train_identities=300,
            test_identities=300,
            distractor_identities=50,
            cameras=4,
            sightings=3,
            queries_per_identity=1,
            max_tracklets=1,
            frames=(8, 24),
            height=128,
            width=64,
        ),
        Preset(
            name="occwalk_full",
            train_identities=500,
            test_identities=500,
            distractor_identities=150,
            cameras=6,
            sightings=3,
            queries_per_identity=2,
            max_tracklets=1,
            frames=(32, 96),
            height=256,
            width=128,
        ),
    )
}
