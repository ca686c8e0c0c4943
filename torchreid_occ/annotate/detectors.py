"""Torchvision's detectors of people, with torchvision's weights or those of a file."""

from typing import Any, NamedTuple

from torch import nn
from torchvision.models.detection import (
    KeypointRCNN_ResNet50_FPN_Weights,
    MaskRCNN_ResNet50_FPN_Weights,
)
from torchvision.ops.misc import FrozenBatchNorm2d

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.networks import Network, build_rcnn
from torchreid_occ.utils.checkpoint import load_checkpoint
from torchreid_occ.utils.coco import NUM_KEYPOINTS
from torchreid_occ.utils.files import file_hash
from torchreid_occ.utils.weights import cached_file, torchvision_weights

RELEASED = {
    "keypoints": KeypointRCNN_ResNet50_FPN_Weights.COCO_V1,
    "masks": MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
}
# Names of the files in `FinderOptions`, for messages.
ARGUMENTS = {"keypoints": "keypoint_weights", "masks": "segmentation_weights"}
# A crop shows few people: a tenth of torchvision's proposals is enough and much faster.
FEW_PROPOSALS: dict[str, Any] = {"rpn_post_nms_top_n_test": 100, "box_detections_per_img": 20}
CLASSES = "roi_heads.box_predictor.cls_score.weight"
LAST_LAYERS = {
    "keypoints": "roi_heads.keypoint_predictor.kps_score_lowres.weight",
    "masks": "roi_heads.mask_predictor.mask_fcn_logits.weight",
}


class LoadedNetwork(NamedTuple):
    """A network in eval mode.

    Attributes:
        network: The network.
        sha256: Hash of the file of its weights.
    """

    network: nn.Module
    sha256: str


def load_detector(
    kind: str,
    file: StrPath | None = None,
    height: int | None = None,
    min_score: float = 0.5,
) -> LoadedNetwork:
    """Loads a detector of people.

    A file holds a state dict of torchvision's `keypointrcnn_resnet50_fpn` or
    `maskrcnn_resnet50_fpn` for any number of classes, of which 1 is a person; or
    `{"state_dict": ..., "network": ...}`, the latter the attributes of a `Network` of other sizes.

    Args:
        kind: `'keypoints'` or `'masks'`.
        file: File of weights; torchvision's weights if None.
        height: Height in pixels that frames are resized to, in place of the network's.
        min_score: Detections of a lower score are dropped.

    Raises:
        WeightsUnavailable: If torchvision's weights are neither cached nor downloadable; says which
            file belongs where.
        FileNotFoundError: If the file does not exist.
        ValueError: If the file holds something else.
    """
    released = RELEASED[kind]
    if file is None:
        what = f"COCO weights of the {kind} detector"
        torchvision_weights(released, what, f"give your own weights ({ARGUMENTS[kind]})")
        file = cached_file(released)
    content = load_checkpoint(file)
    weights = content.get("state_dict", content) if isinstance(content, dict) else {}
    _check_kind(file, kind, weights)
    sizes = content.get("network", {})
    network = Network(**{**sizes, "height": height or sizes.get("height", Network().height)})
    classes = len(weights[CLASSES])
    rcnn = build_rcnn(kind, classes, network, box_score_thresh=min_score, **FEW_PROPOSALS)
    try:
        rcnn.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{file} does not fit {network}: {str(error)[:500]}") from error
    digest = file_hash(file)
    if digest[:8] in released.url:  # torchvision sets this for its own weights, too
        for module in rcnn.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = 0.0
    return LoadedNetwork(rcnn.eval(), digest)


def _check_kind(file: StrPath, kind: str, weights: dict[str, Any]) -> None:
    missing = [name for name in (CLASSES, LAST_LAYERS[kind]) if name not in weights]
    if missing:
        raise ValueError(
            f"{file} holds no R-CNN for {kind}: it lacks {missing}. Expected a state dict of "
            f"torchvision's, such as {RELEASED[kind].url}."
        )
    points = weights[LAST_LAYERS[kind]].shape[1]
    if kind == "keypoints" and points != NUM_KEYPOINTS:
        raise ValueError(f"{file} finds {points} key points, but expected COCO's {NUM_KEYPOINTS}.")
