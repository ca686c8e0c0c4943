"""Torchvision's R-CNNs for key points and for masks, in any size."""

from typing import NamedTuple

import torchvision
from torchvision.models.detection import KeypointRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops.misc import FrozenBatchNorm2d

COCO_KEYPOINTS = 17
HEADS = {"keypoints": (512,) * 8, "masks": (256,) * 4}  # torchvision's


class Network(NamedTuple):
    """The sizes of an R-CNN; the defaults are torchvision's.

    Attributes:
        body: A ResNet of torchvision.
        channels: Of the feature pyramid.
        head: Channels of the layers before key points or masks; None for torchvision's.
        height: Frames are enlarged so that their longer side has as many pixels.
    """

    body: str = "resnet50"
    channels: int = 256
    head: tuple[int, ...] | None = None
    height: int = 512


def build_rcnn(kind, num_classes, network, norm_layer=FrozenBatchNorm2d, **options):
    """Builds an R-CNN without weights; by default the state dict is that of torchvision's.

    Args:
        kind: `'keypoints'` or `'masks'`.
        num_classes: Number of classes, the background included.
        network: A `Network`.
        norm_layer: Normalisation of the body; a frozen one can't be trained from scratch.
        **options: Of torchvision's `FasterRCNN`.
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
            keypoint_predictor=KeypointRCNNPredictor(layers[-1], COCO_KEYPOINTS),
            **options,
        )
    head = MaskRCNNHeads(network.channels, layers, dilation=1)
    rcnn = MaskRCNN(backbone, num_classes, mask_head=head, **options)
    # Given as an argument it would rule out the number of classes.
    rcnn.roi_heads.mask_predictor = MaskRCNNPredictor(layers[-1], layers[-1], num_classes)
    return rcnn
