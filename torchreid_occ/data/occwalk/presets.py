"""The benchmark's sizes as data: one frozen row per preset."""

from dataclasses import dataclass

# Part of every random key and of every folder name: raise it when one rendered pixel may change.
VERSION = 1


@dataclass(frozen=True)
class Preset:
    """How many people, cameras and frames a rendering holds.

    Attributes:
        name: Folder and dataset name.
        train_identities: Identities of the training set.
        test_identities: Identities of query and gallery.
        distractor_identities: Identities of the gallery that no query asks for.
        cameras: Number of cameras; everyone walks past each of them.
        queries_per_identity: Query tracklets of a test identity, each from another camera.
        max_tracklets: A camera holds one to this many train or gallery tracklets of an identity.
        frames: Fewest and most frames of a tracklet.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
    """

    name: str
    train_identities: int
    test_identities: int
    distractor_identities: int
    cameras: int
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
            queries_per_identity=2,
            max_tracklets=2,
            frames=(8, 16),
            height=128,
            width=64,
        ),
    )
}
