"""torchreid_occ: video person re-identification under occlusion, as an extension of torchreid.

Importing it registers its datasets and models in torchreid's registries.
"""

from torchreid_occ.registry import register
from torchreid_occ.version import __version__

__all__ = ["__version__"]

register()
