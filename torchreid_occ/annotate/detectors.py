"""The networks that find people, with torchvision's weights or those of a file."""

from typing import NamedTuple

from torch import nn
from torchvision.models.detection import (
    KeypointRCNN_ResNet50_FPN_Weights,
    MaskRCNN_ResNet50_FPN_Weights,
)
from torchvision.ops.misc import FrozenBatchNorm2d

from torchreid_occ.annotate.networks import COCO_KEYPOINTS, Network, build_rcnn
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import cached_file, torchvision_weights

RELEASED = {
    "keypoints": KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
    "masks": MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
}
OPTIONS = {"keypoints": "--keypoint-weights", "masks": "--segmentation-weights"}
# A crop shows few people: a tenth of torchvision's proposals is enough and much faster.
FEW = {"rpn_post_nms_top_n_test": 100, "box_detections_per_img": 20}
CLASSES = "roi_heads.box_predictor.cls_score.weight"
LAST_LAYERS = {
    "keypoints": "roi_heads.keypoint_predictor.kps_score_lowres.weight",
    "masks": "roi_heads.mask_predictor.mask_fcn_logits.weight",
}


class Detector(NamedTuple):
    """A network in eval mode, and what its weights are told apart by."""

    network: nn.Module
    sha256: str


def load_detector(kind, file=None, height=None, min_score=0.5):
    """Loads a detector of people.

    A file holds a state dict of torchvision's `keypointrcnn_resnet50_fpn` or
    `maskrcnn_resnet50_fpn` for any number of classes, of which 1 is a person; or
    `{"state_dict": ..., "network": ...}`, the latter the attributes of a `Network` of other sizes.

    Args:
        kind: `'keypoints'` or `'masks'`.
        file: The file; None for the weights that torchvision offers.
        height: Takes the place of the network's.
        min_score: Less certain detections are left out.

    Returns:
        A `Detector`.

    Raises:
        WeightsUnavailable: If torchvision's weights can't be had; says which file goes where.
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else.
    """
    released = RELEASED[kind]
    if file is None:
        what = f"COCO weights of the {kind} detector"
        torchvision_weights(released, what, f"name a file of such weights by {OPTIONS[kind]}")
        file = cached_file(released)
    content = load_checkpoint(file)
    weights = content.get("state_dict", content) if isinstance(content, dict) else {}
    _check_kind(file, kind, weights)
    sizes = content.get("network", {})
    network = Network(**{**sizes, "height": height or sizes.get("height", Network().height)})
    rcnn = build_rcnn(kind, len(weights[CLASSES]), network, box_score_thresh=min_score, **FEW)
    try:
        rcnn.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit {network}: {str(error)[:500]}") from error
    digest = file_hash(file)
    if digest[:8] in released.url:  # torchvision's own loading does so with its own weights
        for module in rcnn.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = 0.0
    return Detector(rcnn.eval(), digest)


def _check_kind(file, kind, weights):
    missing = [name for name in (CLASSES, LAST_LAYERS[kind]) if name not in weights]
    if missing:
        raise ValueError(
            f"{file} holds no R-CNN for {kind}: it lacks {missing}. Expected a state dict of "
            f"torchvision's, such as {RELEASED[kind].url}."
        )
    points = weights[LAST_LAYERS[kind]].shape[1]
    if kind == "keypoints" and points != COCO_KEYPOINTS:
        raise ValueError(f"{file} finds {points} key points, but expected COCO's 17.")
