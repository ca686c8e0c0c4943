"""How a clip model turns the clips of tracklets into a feature for each tracklet."""

import torch

from torchreid_occ.data.loaders import in_order
from torchreid_occ.engine.precision import Precision
from torchreid_occ.utils.progress import progress


class TrackletFeatures:
    """Features of whole tracklets, which are read in consecutive clips of bounded length.

    A tracklet's feature is the mean of its clips' features weighted by their numbers of frames, or
    what a model that carries its state from clip to clip makes of all of them. Memory does not
    grow with the length of a tracklet.

    Args:
        model: A clip model; it is in eval mode when called.
        use_gpu: Whether the model is on the GPU.
        flip: Average the features of the frames and of their mirror images.
        precision: What the model computes in, one of ``PRECISIONS``.
        compiled: Run a compiled form of the model, the first batches of which take minutes.

    Raises:
        ValueError: If a model that carries its state from clip to clip is to be compiled.
    """

    def __init__(self, model, use_gpu, flip=False, precision="float32", compiled=False):
        if compiled and model.carries:
            raise ValueError(
                f"test.compile is True, but {type(model).__name__} carries its state from clip to "
                "clip: leave it False."
            )
        self.model = model
        self.run = torch.compile(model, dynamic=True) if compiled else model
        self.use_gpu, self.flip = use_gpu, flip
        self.precision = Precision(precision, "cuda" if use_gpu else "cpu")

    def __call__(self, loader, description):
        """Features of all tracklets of a loader that gives their clips in any order.

        Args:
            loader: As `every_frame_loader` gives it.
            description: What is extracted, for the progress bar.

        Shape:
            Result: `(N, D)`, in the order of the tracklets, on the CPU.
        """
        return (self._in_order if self.model.carries else self._in_any_order)(loader, description)

    def _in_any_order(self, loader, description):
        """Features by a model that takes each clip by itself."""
        # Summed as they come: parts that are kept would scatter over the heap, which grows by it.
        summed, frames = None, torch.zeros(len(loader.dataset.sequences), 1)
        for batch in progress(loader, description, unit="batch"):
            with torch.inference_mode(), self.precision.autocast():
                found = [self.run(view) for view in self._views(batch)]
                features = torch.stack(found).mean(0).float().cpu()
            if summed is None:
                summed = torch.zeros(len(frames), features.shape[1])
            weights = batch["num_frames"][:, None].float()
            summed.index_add_(0, batch["tracklet"], features * weights)
            frames.index_add_(0, batch["tracklet"], weights)
        return summed / frames

    def _in_order(self, loader, description):
        """Features by a model that carries its state from clip to clip of a tracklet."""
        features = torch.zeros(len(loader.dataset.sequences), self.model.feature_dim)
        current, states = None, None

        def finish():
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

    def _views(self, batch):
        """The clips of a batch and, where asked for, their mirror images."""
        clips = batch["img"].cuda() if self.use_gpu else batch["img"]
        return [clips, clips.flip(-1)] if self.flip else [clips]
