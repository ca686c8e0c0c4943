"""Video engines."""

from torchreid_occ.engine.video.clip import ClipEngine
from torchreid_occ.engine.video.completion import CompletionEngine
from torchreid_occ.engine.video.torchreid_baselines import TORCHREID_ENGINES

__all__ = ["TORCHREID_ENGINES", "ClipEngine", "CompletionEngine"]
