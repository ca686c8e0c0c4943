"""Distances over visible regions, and frames weighted by what is visible, against plain cosine.

    python tools/benchmarks/visibility.py log/rfcnet/model/model.pth.tar-20 -s mars --root reid-data

The checkpoint is of an RFCnet with regions and foreground. Its last maps are pooled by the regions
of its last block, with and without the predicted foreground; a region's visibility is the mean
foreground in it, relative to the tracklets' mean. mAP and rank-1, in percent, of:

    plain      cosine of the features, frames alike
    frames     frames weighted by the mean foreground
    regions    mean of the regions' cosines, all alike
    visible    regions pooled by the foreground, cosines weighted by the visibility of both sides
    both       mean of the cosines of plain and visible
"""

import argparse

import numpy as np
import torch
from torch.nn import functional

from torchreid_occ.data.clips import ConsecutiveClips
from torchreid_occ.data.frames import frames_of
from torchreid_occ.data.loaders import every_frame_loader
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.embedders import load_embedder
from torchreid_occ.metrics import evaluate_rank
from torchreid_occ.models.rfcnet import RFCnet
from torchreid_occ.runs import builders
from torchreid_occ.utils.progress import progress

KINDS = ("plain", "frames", "regions", "visible", "both")


class Regions:
    """Features of a tracklet: of the whole, of its regions, and how visible these are."""

    def __init__(self, model, config):
        if not isinstance(model, RFCnet) or model.blocks is None:
            raise ValueError(f"Received a {type(model).__name__}, but expected an RFCnet.")
        self.model, self.config = model.eval(), config
        self.transform = builders.build_test_transform(config)
        model.head, self.head = self._keep, model.head

    def _keep(self, maps, num_frames, weights=None):
        self.maps = maps
        return self.head(maps, num_frames, weights)

    def __call__(self, paths):
        """Returns arrays with a leading axis of one or of the regions."""
        clips = ConsecutiveClips([frames_of([*paths])], 10**6, self.transform)
        (batch,) = every_frame_loader(clips, 1, 0, False)
        with torch.inference_mode():
            features = self.model.forward_clip(batch["img"])
            block = features.blocks[-1]
            size = self.maps.shape[-2:]
            masks = functional.interpolate(block.regions.masks, size, mode="area")
            foreground = torch.sigmoid(block.foreground_logits)
            foreground = functional.interpolate(foreground, size, mode="area")
            seen = (masks * foreground).sum((2, 3))  # (T, N)
            share = seen / masks.sum((2, 3)).clamp_min(1e-6)
            means = self.maps.mean((2, 3))
            weights = foreground.mean((1, 2, 3))[:, None]
            found = {
                "plain": features.features,
                "frames": self.model.neck((weights * means).sum(0, keepdim=True) / weights.sum()),
                "regions": self.model.neck(self._pooled(masks)),
                "visible": self.model.neck(self._pooled(masks * foreground)),
                "share": share.mean(0),
            }
        return {name: value.numpy() for name, value in found.items()}

    def _pooled(self, weights):
        """Means of the maps of all frames over the regions, ``(N, C)``."""
        sums = torch.einsum("fnhw,fchw->nc", weights, self.maps)
        return sums / weights.sum((0, 2, 3)).clamp_min(1e-4)[:, None]


def similarities(query, gallery):
    """Returns the similarities of each kind, ``(Q, G)``."""

    def cosines(name):
        sides = [part[name] / np.linalg.norm(part[name], axis=-1, keepdims=True) for part in both]
        products = np.matmul(
            *(
                side.transpose(1, *order)
                for side, order in zip(sides, ((0, 2), (2, 0)), strict=True)
            )
        )
        return products.transpose(1, 2, 0)

    both = query, gallery
    typical = np.concatenate([part["share"] for part in both]).mean(0)
    shares = [np.minimum(part["share"] / typical, 1) for part in both]
    weights = shares[0][:, None] * shares[1][None]
    found = {name: cosines(name).mean(-1) for name in ("plain", "frames", "regions")}
    found["visible"] = (weights * cosines("visible")).sum(-1) / weights.sum(-1)
    return found | {"both": (found["plain"] + found["visible"]) / 2}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("-s", "--sources", nargs="+", required=True)
    parser.add_argument("--root", default="")
    parser.add_argument("--splits", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    embedder = load_embedder(arguments.checkpoint)
    regions = Regions(embedder.model, embedder.config)
    for name in arguments.sources:
        for split in arguments.splits:
            listed = tracklets_of(load_dataset(name, arguments.root, split))
            parts, labels = [], []
            for part in ("query", "gallery"):
                rows = [
                    regions(paths) for paths, *_ in progress(listed[part], part, unit="tracklet")
                ]
                parts.append({key: np.stack([row[key] for row in rows]) for key in rows[0]})
                labels.append(
                    [np.array([item[place] for item in listed[part]]) for place in (1, 2)]
                )
            (q_pids, q_camids), (g_pids, g_camids) = labels
            for kind, found in similarities(*parts).items():
                cmc, mean_ap = evaluate_rank(1 - found, q_pids, g_pids, q_camids, g_camids)
                print(
                    f"{name} {split} {kind:8} {100 * mean_ap:5.1f} {100 * cmc[0]:5.1f}", flush=True
                )


if __name__ == "__main__":
    main()
