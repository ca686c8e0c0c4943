"""Features of tracklets by a clip model, from all their frames."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from torchreid_occ._types import Batch
from torchreid_occ.data.loaders import in_order
from torchreid_occ.engine.precision import Precision
from torchreid_occ.utils.progress import progress


class TrackletFeatures:
    """Extracts features of whole tracklets, read in consecutive clips of bounded length.

    A tracklet's feature is the mean of its clips' features weighted by their numbers of frames; a
    model that carries its state from clip to clip gives one feature after the last. Memory does
    not grow with the length of a tracklet.

    Args:
        model: A clip model; the caller puts it in eval mode.
        use_gpu: Whether the model is on the GPU.
        flip: Average the features of the frames and of their mirror images.
        precision: What the model computes in, one of ``PRECISIONS``.
        compiled: Run a compiled form of the model, the first batches of which take minutes.

    Raises:
        ValueError: If a model that carries its state from clip to clip is to be compiled.
    """

    def __init__(
        self,
        model: nn.Module,
        use_gpu: bool,
        flip: bool = False,
        precision: str = "float32",
        compiled: bool = False,
    ) -> None:
        if compiled and model.carries:
            raise ValueError(
                f"test.compile is True, but {type(model).__name__} carries its state from clip to "
                "clip: leave it False."
            )
        self.model: Any = model
        self.run: Callable[[Tensor], Tensor] = (
            torch.compile(model, dynamic=True) if compiled else model
        )
        self.use_gpu, self.flip = use_gpu, flip
        self.precision = Precision(precision, "cuda" if use_gpu else "cpu")

    def __call__(self, loader: DataLoader[Any], description: str) -> Tensor:
        """Extracts the features of all tracklets of a loader.

        Args:
            loader: From `every_frame_loader`.
            description: What is extracted, for the progress bar.

        Shape:
            Result: `(N, D)`, in the order of the tracklets, on the CPU.
        """
        return (self._in_order if self.model.carries else self._in_any_order)(loader, description)

    def _in_any_order(self, loader: DataLoader[Any], description: str) -> Tensor:
        """Extracts features with a model that reads each clip by itself."""
        # Sums batch by batch: keeping all parts would fragment the heap and let it grow.
        summed: Tensor | None = None
        frames = torch.zeros(_count(loader), 1)
        for batch in progress(loader, description, unit="batch"):
            with torch.inference_mode(), self.precision.autocast():
                found = [self.run(view) for view in self._views(batch)]
                features = torch.stack(found).mean(0).float().cpu()
            if summed is None:
                summed = torch.zeros(len(frames), features.shape[1])
            # Differs from paper [D2]: RFCnet takes plain means, the same for equally long clips.
            weights = batch["num_frames"][:, None].float()
            summed.index_add_(0, batch["tracklet"], features * weights)
            frames.index_add_(0, batch["tracklet"], weights)
        assert summed is not None  # every tracklet has a clip
        return summed / frames

    def _in_order(self, loader: DataLoader[Any], description: str) -> Tensor:
        """Extracts features with a model that carries its state from clip to clip."""
        features = torch.zeros(_count(loader), self.model.feature_dim)
        current: Tensor | None = None
        states: list[Any] = []

        def finish() -> None:
            with torch.inference_mode():
                found = [self.model.finish(state) for state in states]
                mean = torch.stack(found).mean(0).float().cpu()
            features[current] = mean

        for batch in progress(in_order(loader), description, unit="batch"):
            if current is None or not torch.equal(batch["tracklet"], current):
                if current is not None:
                    finish()
                current, states = batch["tracklet"], [None] * (1 + self.flip)
            with torch.inference_mode(), self.precision.autocast():
                states = list(map(self.model.extend, states, self._views(batch)))
        finish()
        return features

    def _views(self, batch: Batch) -> list[Tensor]:
        """Returns the clips of a batch and, if configured, their mirror images."""
        clips = batch["img"].cuda() if self.use_gpu else batch["img"]
        return [clips, clips.flip(-1)] if self.flip else [clips]


def _count(loader: DataLoader[Any]) -> int:
    """Returns the number of tracklets of a loader."""
    dataset: Any = loader.dataset
    return len(dataset.sequences)
