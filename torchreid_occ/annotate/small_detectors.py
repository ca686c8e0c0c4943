"""Trains small detectors on OccWalk, whose renderer knows all joints and masks.

Their weights are loaded like torchvision's (`load_detector`). They detect rendered people only.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from torchreid_occ._types import StrPath
from torchreid_occ.annotate.networks import Network, build_rcnn
from torchreid_occ.occwalk.gait import Joint
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import render_tracklet
from torchreid_occ.utils.checkpoint import save_checkpoint
from torchreid_occ.utils.coco import PERSON_LABEL
from torchreid_occ.utils.progress import progress

SMALL = Network(body="resnet18", channels=64, head=(64, 64, 64, 64), height=128)
MAX_LEARNING_RATE, WEIGHT_DECAY, MAX_GRADIENT = 1e-3, 1e-4, 5.0
# One person in a small frame needs few proposals.
FEW_PROPOSALS = {
    "rpn_batch_size_per_image": 64,
    "rpn_pre_nms_top_n_train": 200,
    "rpn_post_nms_top_n_train": 50,
    "box_batch_size_per_image": 16,
    "box_positive_fraction": 0.5,
}
# OccWalk's skeleton has one joint in the head, used for all five of COCO's.
COCO_JOINTS = [Joint.HEAD] * 5 + [
    Joint[f"{side}_{name}"]
    for name in ("SHOULDER", "ELBOW", "WRIST", "HIP", "KNEE", "ANKLE")
    for side in ("LEFT", "RIGHT")
]


class OccWalkPeople(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Training frames of a rendering with boxes, masks and key points for torchvision's R-CNNs.

    Args:
        preset: Name of the preset.
        seed: Seed of the rendering.
        num_tracklets: Number of training tracklets that are rendered.
    """

    def __init__(self, preset: str, seed: int, num_tracklets: int) -> None:
        specs = [spec for spec in list_tracklets(PRESETS[preset], seed) if spec.split == "train"]
        rendered = [
            render_tracklet(spec, PRESETS[preset], seed)
            for spec in progress(specs[:num_tracklets], "rendering", unit="tracklet")
        ]
        self._frames = np.concatenate([tracklet.frames for tracklet in rendered])
        self._masks = np.concatenate([tracklet.visible for tracklet in rendered]) > 0
        self._joints = np.concatenate([tracklet.joints[:, COCO_JOINTS] for tracklet in rendered])

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        frame = torch.from_numpy(self._frames[index][..., ::-1].copy()).permute(2, 0, 1) / 255
        mask = self._masks[index]
        rows, columns = np.nonzero(mask)
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        points = self._joints[index]
        visible = _visible(points, mask)
        return frame, {
            "boxes": torch.tensor([box], dtype=torch.float32),
            "labels": torch.tensor([PERSON_LABEL]),
            "masks": torch.from_numpy(mask[None].astype(np.uint8)),
            "keypoints": torch.tensor(
                np.column_stack([points, visible])[None], dtype=torch.float32
            ),
        }


def _visible(
    points: npt.NDArray[np.floating[Any]], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Returns which joints lie in the visible pixels of the person. Shape: `(17,)`."""
    height, width = mask.shape
    x, y = np.floor(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return inside & mask[y.clip(0, height - 1), x.clip(0, width - 1)]


def train_small_detector(
    kind: str,
    people: OccWalkPeople,
    steps: int,
    batch_size: int = 8,
    seed: int = 0,
    network: Network = SMALL,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Trains an R-CNN from scratch.

    Args:
        kind: `'keypoints'` or `'masks'`.
        people: Frames with boxes, masks and key points.
        steps: Number of batches.
        batch_size: Frames in a batch.
        seed: Seed of the initial weights and the batches.
        network: Sizes of the network.

    Returns:
        The content of a file for `load_detector`, and the losses of the last batch by name.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rcnn = build_rcnn(kind, PERSON_LABEL + 1, network, nn.BatchNorm2d, **FEW_PROPOSALS).train()
    optimizer = torch.optim.AdamW(rcnn.parameters(), MAX_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MAX_LEARNING_RATE, total_steps=steps)
    for _ in progress(range(steps), f"training on {kind}", unit="batch"):
        chosen = rng.choice(len(people), batch_size, replace=False)
        frames, annotations = zip(*(people[index] for index in chosen), strict=True)
        losses = rcnn(list(frames), list(annotations))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(rcnn.parameters(), MAX_GRADIENT)
        optimizer.step()
        schedule.step()
    content = {"network": network._asdict(), "state_dict": rcnn.state_dict()}
    return content, {name: loss.item() for name, loss in losses.items()}


def save_small_detector(
    kind: str,
    path: StrPath,
    preset: str = "occwalk_small",
    seed: int = 1,
    num_tracklets: int = 300,
    steps: int = 600,
) -> dict[str, float]:
    """Renders people of OccWalk, trains a small detector on them and saves it.

    Args:
        kind: `'keypoints'` or `'masks'`.
        path: File of weights that is written, for `load_detector`.
        preset: Name of OccWalk's preset.
        seed: Seed of the rendering.
        num_tracklets: Number of training tracklets that are rendered.
        steps: Number of batches.

    Returns:
        The losses of the last batch by name.
    """
    people = OccWalkPeople(preset, seed, num_tracklets)
    content, losses = train_small_detector(kind, people, steps)
    save_checkpoint(content, path)
    return losses
