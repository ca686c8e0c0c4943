"""Builds torchvision's R-CNNs for key points and for masks, in any size."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torchvision
from torch import nn
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops.misc import FrozenBatchNorm2d

from torchreid_occ.utils.coco import NUM_KEYPOINTS

HEADS = {"keypoints": (512,) * 8, "masks": (256,) * 4}  # layers of torchvision's heads


class Network(NamedTuple):
    """Sizes of an R-CNN; the defaults are torchvision's.

    Attributes:
        body: Name of a ResNet of torchvision.
        channels: Channels of the feature pyramid.
        head: Channels of the layers before key points or masks; None for torchvision's.
        height: Pixels of the longer side of frames after resizing.
    """

    body: str = "resnet50"
    channels: int = 256
    head: tuple[int, ...] | None = None
    height: int = 512


def build_rcnn(
    kind: str,
    num_classes: int,
    network: Network,
    norm_layer: Callable[..., nn.Module] = FrozenBatchNorm2d,
    **options: Any,
) -> KeypointRCNN | MaskRCNN:
    """Builds an R-CNN without trained weights; by default its state dict fits torchvision's.

    Args:
        kind: `'keypoints'` or `'masks'`.
        num_classes: Number of classes, the background included.
        network: Sizes of the network.
        norm_layer: Normalisation of the body; a frozen one cannot be trained from scratch.
        **options: Arguments of torchvision's `FasterRCNN`.
    """
    body = torchvision.models.get_model(network.body, weights=None, norm_layer=norm_layer)
    narrowest = body.inplanes // 8
    backbone = BackboneWithFPN(
        body,
        {f"layer{stage + 1}": str(stage) for stage in range(4)},
        [narrowest * 2**stage for stage in range(4)],
        network.channels,
    )
    layers = tuple(network.head or HEADS[kind])
    options = {**options, "min_size": network.height, "max_size": network.height}
    if kind == "keypoints":
        return KeypointRCNN(
            backbone,
            num_classes,
            keypoint_head=KeypointRCNNHeads(network.channels, layers),
            keypoint_predictor=KeypointRCNNPredictor(layers[-1], NUM_KEYPOINTS),
            **options,
        )
    head = MaskRCNNHeads(network.channels, layers, dilation=1)
    rcnn = MaskRCNN(backbone, num_classes, mask_head=head, **options)
    # As an argument it would exclude `num_classes`.
    rcnn.roi_heads.mask_predictor = MaskRCNNPredictor(layers[-1], layers[-1], num_classes)
    return rcnn
