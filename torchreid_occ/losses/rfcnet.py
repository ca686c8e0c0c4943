"""RFCnet's objective: identity terms, supervised partition and foreground, regularised clusters."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchreid_occ._registry import register_criterion
from torchreid_occ._types import Batch
from torchreid_occ.losses.criterion import Criterion
from torchreid_occ.losses.identity import IdentityLoss
from torchreid_occ.models.layers.rfc import RfcOutput
from torchreid_occ.models.rfcnet import RfcnetOutput
from torchreid_occ.utils.checks import check_choice
from torchreid_occ.utils.signatures import takes_options_of

IGNORED = -100  # class label of a key point without annotation
SCALES = ("official", "literal")
RESIZINGS = ("official", "area")


@register_criterion("rfcnet")
class RfcnetLoss(Criterion):
    """Identity loss plus key point, foreground and assignment terms, each a mean over blocks.

    Reference: RFCnet, Eq. 13 with Eq. 4, 7, 14 and 15. A term is left out if a variant of the
    model lacks its input; frames whose supervision is NaN are skipped.

    Args:
        num_classes: Number of training identities.
        lambda_keypoints: Weight of Lk (lambda1); 0 needs no key points.
        lambda_foreground: Weight of Lf (lambda2); 0 needs no foreground maps.
        lambda_appearance: Weight of La (lambda3).
        lambda_position: Weight of Lp (lambda3).
        regularization_scale: 'official' divides the sums of Eq. 4 and 7 by the number of regions,
            as in the released code, for which lambda3 was tuned; 'literal' keeps the sums.
        clamp_position: Whether to clamp the position similarity (Eq. 6) to [-1, 1].
        detach_target: Whether the features' similarities are a constant target in La.
        foreground_resizing: 'official' or 'area', see `resize_foreground`.
        **identity: Options of `IdentityLoss`.

    Raises:
        ValueError: If an option is not one of the allowed, or the batch lacks the supervision of
            a term that is on.
    """

    @takes_options_of(IdentityLoss)
    def __init__(
        self,
        num_classes: int,
        *,
        lambda_keypoints: float = 0.1,
        lambda_foreground: float = 0.5,
        lambda_appearance: float = 0.05,
        lambda_position: float = 0.05,
        regularization_scale: str = "official",
        clamp_position: bool = False,
        detach_target: bool = False,
        foreground_resizing: str = "official",
        **identity: Any,
    ) -> None:
        super().__init__(num_classes)
        check_choice("regularization_scale", regularization_scale, SCALES)
        check_choice("foreground_resizing", foreground_resizing, RESIZINGS)
        self.identity = IdentityLoss(num_classes, **identity)
        self.weights = {
            "keypoints": lambda_keypoints,
            "foreground": lambda_foreground,
            "appearance": lambda_appearance,
            "position": lambda_position,
        }
        self.regularization_scale = regularization_scale
        self.clamp_position = clamp_position
        self.detach_target = detach_target
        self.foreground_resizing = foreground_resizing
        supervised = ("keypoints", "foreground")
        self.supervision = tuple(name for name in supervised if self.weights[name] > 0)

    def forward(self, outputs: RfcnetOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the total under 'loss', each term unweighted, and the accuracy in percent."""
        losses: dict[str, Tensor] = self.identity(outputs, batch)
        terms: dict[str, Callable[[RfcOutput, Batch], Tensor | None]] = {
            "keypoints": self._keypoints,
            "foreground": self._foreground,
            "appearance": self._appearance,
            "position": self._position,
        }
        for name, weight in self.weights.items():
            if weight == 0:
                continue
            found = [terms[name](block, batch) for block in outputs.blocks]
            values = [value for value in found if value is not None]
            if values:
                # Paper silent [R10]: the released code takes the mean over blocks.
                losses[name] = torch.stack(values).mean()
                losses["loss"] = losses["loss"] + weight * losses[name]
        return losses

    def _keypoints(self, block: RfcOutput, batch: Batch) -> Tensor | None:
        if block.regions is None or block.regions.keypoint_logits is None:
            return None
        fractions = _supervision(batch, "keypoints").flatten(0, 1)
        height, width = block.regions.masks.shape[-2:]
        return keypoint_loss(block.regions.keypoint_logits, fractions, (height, width))

    def _foreground(self, block: RfcOutput, batch: Batch) -> Tensor | None:
        if block.foreground_logits is None:
            return None
        target = _supervision(batch, "foreground").flatten(0, 1)
        return foreground_loss(block.foreground_logits, target, self.foreground_resizing)

    def _appearance(self, block: RfcOutput, batch: Batch) -> Tensor | None:
        if block.spatial is None or block.spatial.appearance is None:
            return None
        features = block.spatial.initial
        # Paper silent [R7]: the released code does not detach the target.
        target = cosine_similarity(features.detach() if self.detach_target else features)
        return self._regularize(block.spatial.appearance, target)

    def _position(self, block: RfcOutput, batch: Batch) -> Tensor | None:
        if block.spatial is None or block.spatial.position is None:
            return None
        # Differs from paper [R5]: with centres it may fall to -1.15, below the stated range.
        target = position_similarity(block.spatial.positions, self.clamp_position)
        return self._regularize(block.spatial.position, target)

    def _regularize(self, assignment: Tensor, target: Tensor) -> Tensor:
        num_regions = assignment.shape[1]
        difference = (cosine_similarity(assignment) - target).abs().sum((1, 2)).mean()
        # Differs from paper [R6]: lambda3 was tuned on the released code's sixth of the sum.
        return difference if self.regularization_scale == "literal" else difference / num_regions


def keypoint_loss(logits: Sequence[Tensor], fractions: Tensor, size: tuple[int, int]) -> Tensor:
    """Computes the cross-entropy of the four lines, averaged over all annotated ones.

    Reference: RFCnet, Eq. 14.

    Args:
        logits: Logits of shoulder, hip and knee rows and of the column, one tensor each.
        fractions: The same lines as fractions of the frame, NaN where unknown.
        size: Height and width of the map.

    Shape:
        logits: four of `(F, classes)`; fractions: `(F, 4)`.
    """
    labels = keypoint_labels(fractions, size, [line.shape[1] for line in logits])
    lines = [
        F.cross_entropy(line, label, ignore_index=IGNORED, reduction="sum")
        for line, label in zip(logits, labels.unbind(1), strict=True)
    ]
    return reduce(add, lines) / (labels != IGNORED).sum().clamp(min=1)


def keypoint_labels(fractions: Tensor, size: tuple[int, int], num_classes: Sequence[int]) -> Tensor:
    """Turns lines given as fractions into classes: the last row or column before the line.

    Lines outside the frame, and rows so low that a region below would be empty, get the nearest
    class, as in the released code.

    Args:
        fractions: Shoulder, hip and knee rows and the column, NaN where unknown.
        size: Height and width of the map.
        num_classes: Number of classes of each line.

    Shape:
        fractions: `(F, 4)`; result: `(F, 4)`, `IGNORED` where unknown.
    """
    # Paper silent [R19]: labels outside the map are clamped as in the released code.
    height, width = size
    lengths = fractions.new_tensor([height, height, height, width])
    last = fractions.new_tensor(num_classes) - 1
    labels = torch.minimum((torch.round(fractions * lengths) - 1).clamp(min=0), last)
    return torch.where(fractions.isnan(), IGNORED, labels.nan_to_num()).long()


def foreground_loss(logits: Tensor, target: Tensor, resizing: str = "official") -> Tensor:
    """Computes the binary cross-entropy of the foreground map over the frames that have a target.

    Reference: RFCnet, Eq. 15.

    Args:
        logits: Logits of the foreground maps.
        target: Foreground maps in [0, 1]; all NaN for a frame without a target.
        resizing: See `resize_foreground`.

    Shape:
        logits: `(F, 1, H, W)`; target: `(F, 1, H', W')`.
    """
    height, width = logits.shape[-2:]
    target = resize_foreground(target, (height, width), resizing)
    known = ~target.isnan().flatten(1).any(1)
    loss = F.binary_cross_entropy_with_logits(
        logits.to(target.dtype), target.nan_to_num(), reduction="none"
    )
    return (loss.flatten(1).mean(1) * known).sum() / known.sum().clamp(min=1)


# Paper silent [R24]: how maps of the person are resized to a feature map; bilinear as released.
def resize_foreground(target: Tensor, size: tuple[int, int], resizing: str) -> Tensor:
    """Resizes foreground maps to a feature map.

    Args:
        target: Foreground maps.
        size: Height and width of the feature map.
        resizing: 'official' samples points between the frame's corners, as the released code does;
            on a map of 8x4 units they miss a person's middle. 'area' takes the mean over each unit.

    Shape:
        target: `(F, 1, H', W')`; result: `(F, 1, H, W)`.
    """
    if resizing == "area":
        return F.interpolate(target, size, mode="area")
    return F.interpolate(target, size, mode="bilinear", align_corners=True)


def cosine_similarity(vectors: Tensor) -> Tensor:
    """Computes the cosine similarity of each pair of rows.

    Args:
        vectors: Rows to compare.

    Shape:
        vectors: `(F, N, D)`; result: `(F, N, N)`.
    """
    unit = F.normalize(vectors, dim=2)
    return unit @ unit.transpose(1, 2)


def position_similarity(positions: Tensor, clamp: bool = False) -> Tensor:
    """Computes the closeness of each pair of regions.

    Reference: RFCnet, Eq. 6. Opposite corners reach 1 - 2 * sqrt(2), below the paper's [-1, 1].

    Args:
        positions: Position encodings; the first two columns are row and column fractions.
        clamp: Whether to clamp to [-1, 1].

    Shape:
        positions: `(F, N, 4)`; result: `(F, N, N)`.
    """
    places = positions[..., :2]
    distances = torch.linalg.vector_norm(places[:, :, None] - places[:, None, :], dim=3)
    similarity = 1 - 2 * distances
    return similarity.clamp(min=-1) if clamp else similarity


def _supervision(batch: Batch, name: str) -> Tensor:
    if name not in batch:
        raise ValueError(
            f'The batch has no "{name}", which lambda_{name} > 0 needs: set `data.supervision`, or '
            f"`loss.options.lambda_{name}` to 0"
        )
    return batch[name]
