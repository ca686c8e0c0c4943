"""An image embedder as a clip model: the mean of normalised frame features."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import normalize

from torchreid_occ.models.clip_model import ClipModel


class EmbeddedClip(NamedTuple):
    """What an embedder returns, which has no classifier: features, `(B, feature_dim)`."""

    features: Tensor


class FrameEmbedder(ClipModel):
    """Features of single frames, scaled to unit length and averaged over the clip.

    It is not trained here: it has no logits.

    Args:
        network: Maps frames `(N, 3, H, W)` to features `(N, feature_dim)`.
        feature_dim: Length of a feature.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], feature_dim: int) -> None:
        super().__init__()
        self.network = network  # registered as a part if it is a module
        self.feature_dim = feature_dim

    def forward_clip(self, clip: Tensor) -> EmbeddedClip:
        """Returns the features of clips, `(B, T, 3, H, W)`."""
        frames = normalize(self.network(clip.flatten(0, 1)), dim=1)
        return EmbeddedClip(frames.unflatten(0, (-1, clip.shape[1])).mean(1))


class ClipEmbedder(ClipModel):
    """Features of whole clips by a function of another library.

    Args:
        network: Maps clips `(B, T, 3, H, W)` to features `(B, feature_dim)`.
        feature_dim: Length of a feature.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], feature_dim: int) -> None:
        super().__init__()
        self.network = network
        self.feature_dim = feature_dim

    def forward_clip(self, clip: Tensor) -> EmbeddedClip:
        """Returns the features of clips, `(B, T, 3, H, W)`."""
        return EmbeddedClip(self.network(clip))
