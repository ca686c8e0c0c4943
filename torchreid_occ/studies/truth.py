"""Ground truth in place of what an RFCnet's blocks predict."""

from collections.abc import Callable, Iterable
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchreid_occ.losses.rfcnet import IGNORED, keypoint_labels, resize_foreground
from torchreid_occ.models.layers.apu import AdaptivePartition
from torchreid_occ.models.layers.foreground import ForegroundHead
from torchreid_occ.models.layers.foreground_mask import ForegroundMask
from torchreid_occ.models.layers.partition import Regions, cut_regions
from torchreid_occ.models.layers.rfc import RFC
from torchreid_occ.models.rfcnet import RFCnet

TRUTHS = ("foreground", "lines")
SURE = 1e-3  # a true foreground map is certain up to this probability of the opposite


class Truth:
    """Replaces what a model's blocks predict by ground truth; a context manager that undoes it.

    What is not known of a frame stays predicted.

    The foreground head of a block is replaced by a module that returns the true map. The lines are
    still predicted, as the criterion reads the prediction, and a forward hook replaces the regions.

    Args:
        model: The model.
        truths: What is true, of `TRUTHS`; nothing leaves the model as it is.

    Raises:
        ValueError: If the model's blocks predict no such thing.
    """

    def __init__(self, model: nn.Module, truths: Iterable[str] = ()) -> None:
        self._keypoints: Tensor | None = None
        self._visible: Tensor | None = None
        self._heads: list[tuple[RFC | ForegroundMask, ForegroundHead]] = []
        self._hooks: list[RemovableHandle] = []
        truths = {*truths}
        missing = sorted(truths - {*predicted_by(model)})
        if missing:
            raise ValueError(f"The model predicts no {' and no '.join(missing)} to be replaced.")
        for block in blocks_of(model).values():
            head, partition = block.foreground, getattr(block, "partition", None)
            if "foreground" in truths and head is not None:
                self._heads.append((block, head))
                block.foreground = _TrueForeground(head, self._foreground_logits)
            if "lines" in truths and isinstance(partition, AdaptivePartition):
                self._hooks.append(partition.register_forward_hook(self._cut_at_true_lines))

    def __enter__(self) -> "Truth":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for block, head in self._heads:
            block.foreground = head
        for hook in self._hooks:
            hook.remove()

    def set_frames(self, keypoints: Tensor, visible: Tensor) -> None:
        """Sets the ground truth of the frames that the model reads next.

        Args:
            keypoints: Their lines; NaN where not known.
            visible: Masks of what is seen of the person; NaN where not known.

        Shape:
            keypoints: `(F, 4)`; visible: `(F, 1, H, W)`.
        """
        self._keypoints, self._visible = keypoints, visible

    def _foreground_logits(self, maps: Tensor) -> Tensor:
        assert self._visible is not None, "set_frames comes before the model"
        size = maps.shape[-2], maps.shape[-1]
        target = resize_foreground(self._visible, size, "area")
        return target.logit(SURE).to(maps.dtype)

    def _cut_at_true_lines(
        self, partition: AdaptivePartition, inputs: tuple[Tensor], predicted: Regions
    ) -> Regions:
        assert self._keypoints is not None, "set_frames comes before the model"
        assert predicted.keypoint_logits is not None, "an adaptive partition predicts lines"
        (maps,) = inputs
        size = maps.shape[-2], maps.shape[-1]
        classes = [line.shape[1] for line in predicted.keypoint_logits]
        labels = keypoint_labels(self._keypoints, size, classes)
        known = (labels != IGNORED).all(1)
        lines = labels[known] + 1
        true = cut_regions(
            lines[:, :3], lines[:, 3:], partition.layout, size, predicted.masks.dtype
        )
        masks, boxes = predicted.masks.clone(), predicted.boxes.clone()
        masks[known], boxes[known] = true.masks, true.boxes
        return Regions(masks, boxes, predicted.keypoint_logits)


class _TrueForeground(ForegroundHead):
    """Replaces a foreground head, whose layers it holds so that checkpoints keep their keys."""

    def __init__(self, head: ForegroundHead, logits: Callable[[Tensor], Tensor]) -> None:
        nn.Module.__init__(self)
        self.conv, self.bn = head.conv, head.bn
        self.logits = logits

    def forward(self, maps: Tensor) -> Tensor:
        true = self.logits(maps)
        return torch.where(true.isnan(), super().forward(maps), true)


def blocks_of(model: nn.Module) -> dict[str, RFC | ForegroundMask]:
    """Returns the blocks of an RFCnet by stage; none of another model.

    Args:
        model: A model.
    """
    blocks = model.blocks.items() if isinstance(model, RFCnet) else ()
    return {stage: block for stage, block in blocks if isinstance(block, RFC | ForegroundMask)}


def predicted_by(model: nn.Module) -> list[str]:
    """Lists which of `TRUTHS` a model's blocks predict.

    Args:
        model: A model.
    """
    blocks = [*blocks_of(model).values()]
    heads = {
        "foreground": any(block.foreground is not None for block in blocks),
        "lines": any(
            isinstance(getattr(block, "partition", None), AdaptivePartition) for block in blocks
        ),
    }
    return [name for name in TRUTHS if heads[name]]
