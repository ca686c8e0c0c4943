"""torchreid_occ: video person re-identification under occlusion, as an extension of torchreid.

Importing it registers its datasets and models in torchreid's registries.
"""

import importlib
from typing import TYPE_CHECKING, Any

from torchreid_occ.registry import register
from torchreid_occ.version import __version__

if TYPE_CHECKING:
    from torchreid_occ.config import load_config
    from torchreid_occ.data.manager import ClipDataManager
    from torchreid_occ.data.tracklets import load_dataset
    from torchreid_occ.engine.clip import ClipEngine
    from torchreid_occ.extractor import TrackletExtractor
    from torchreid_occ.losses import build_criterion
    from torchreid_occ.metrics import evaluate_rank
    from torchreid_occ.models import build_model, list_models
    from torchreid_occ.ops import patch_attention
    from torchreid_occ.runs.phases import run_config as run
    from torchreid_occ.search.gallery import Gallery

# Where each public name is defined; it is imported when it is first asked for.
_PUBLIC = {
    "ClipDataManager": "data.manager.ClipDataManager",
    "ClipEngine": "engine.clip.ClipEngine",
    "Gallery": "search.gallery.Gallery",
    "TrackletExtractor": "extractor.TrackletExtractor",
    "build_criterion": "losses.build_criterion",
    "build_model": "models.build_model",
    "evaluate_rank": "metrics.evaluate_rank",
    "list_models": "models.list_models",
    "load_config": "config.load_config",
    "load_dataset": "data.tracklets.load_dataset",
    "patch_attention": "ops.patch_attention.patch_attention",
    "run": "runs.phases.run_config",
}

__all__ = [
    "ClipDataManager",
    "ClipEngine",
    "Gallery",
    "TrackletExtractor",
    "__version__",
    "build_criterion",
    "build_model",
    "evaluate_rank",
    "list_models",
    "load_config",
    "load_dataset",
    "patch_attention",
    "run",
]

register()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'torchreid_occ' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].rpartition(".")
    value = getattr(importlib.import_module(f"torchreid_occ.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
