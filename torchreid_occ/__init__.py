"""torchreid_occ: video person re-identification under occlusion, as an extension of torchreid.

Importing it registers its datasets and models in torchreid's registries.
"""

from torchreid_occ.registry import register
from torchreid_occ.version import __version__

__all__ = ["TrackletExtractor", "__version__"]

register()


def __getattr__(name):
    """Imports the extractor when it is first asked for: registering needs nothing of it."""
    if name == "TrackletExtractor":
        from torchreid_occ.extractor import TrackletExtractor

        return TrackletExtractor
    raise AttributeError(f"module 'torchreid_occ' has no attribute {name!r}")
