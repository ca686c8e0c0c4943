"""How occluded a rendering is, beside the dataset it is modelled on."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from torchreid_occ.data.ground_truth import occlusion_labels
from torchreid_occ.occwalk.protocol import FRACTION_EDGES, SPLITS, TRACKLET_SHARES
from torchreid_occ.utils.documents import read_json

# RFCnet, Table 2: share of the occluded frames by how much of the person is hidden.
OCCLUSION_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
FRAME_SHARES = {
    "query": (0.135, 0.111, 0.124, 0.148, 0.149, 0.156, 0.111, 0.066),
    "gallery": (0.133, 0.112, 0.123, 0.147, 0.144, 0.146, 0.112, 0.083),
}


def read_fractions(folder: Path) -> dict[str, list[np.ndarray]]:
    """For each split of a rendering, the occluded fractions of the frames of each tracklet."""
    occlusion = read_json(folder / "ground_truth/occlusion.json")
    return {
        split: [
            np.array([occlusion[frame.name][1] for frame in sorted(tracklet.iterdir())])
            for tracklet in sorted((folder / split).glob("*/*"))
        ]
        for split in SPLITS
    }


def query_labels(folder: Path) -> np.ndarray:
    """The occlusion label of each query tracklet: the frames' (0 to 10) for their mean fraction."""
    means = np.array([fractions.mean() for fractions in read_fractions(folder)["query"]])
    return occlusion_labels(means)


def tracklet_shares(tracklets: list[np.ndarray]) -> np.ndarray:
    """Table 1's row: the share of tracklets without occlusion, then by ratio of occluded frames."""
    ratios = np.array([np.mean(fractions > 0) for fractions in tracklets])
    edges = (0.0, 1e-9, *FRACTION_EDGES[1:-1], np.inf)
    return np.histogram(ratios, edges)[0] / len(ratios)


def frame_shares(tracklets: list[np.ndarray]) -> np.ndarray:
    """Table 2's row: the share of occluded frames by how much of the person is hidden."""
    fractions = np.concatenate(tracklets)
    hidden = fractions[fractions > 0]
    return np.histogram(hidden, OCCLUSION_EDGES)[0] / len(hidden)


def describe(folder: Path) -> str:
    """The paper's Tables 1 and 2 with a row of the rendering below each of the paper's."""
    splits = read_fractions(folder)
    lines = [f"{folder.name}: tracklets and frames by split"]
    for split, tracklets in splits.items():
        frames = sum(map(len, tracklets))
        lines.append(f"  {split:<8}{len(tracklets):>6} tracklets {frames:>8} frames")
    lines += _table(
        "Table 1. Tracklets (%) by fraction of occluded frames (%)",
        ["0", *_ranges(FRACTION_EDGES)],
        {split: (TRACKLET_SHARES[split], tracklet_shares(splits[split])) for split in FRAME_SHARES},
        {"train": tracklet_shares(splits["train"])},
    )
    lines += _table(
        "Table 2. Occluded frames (%) by occluded fraction of the person (%)",
        _ranges(OCCLUSION_EDGES),
        {split: (FRAME_SHARES[split], frame_shares(splits[split])) for split in FRAME_SHARES},
        {"train": frame_shares(splits["train"])},
    )
    return "\n".join(lines)


def _ranges(edges):
    return [f"{low * 100:.0f}-{high * 100:.0f}" for low, high in pairwise(edges)]


def _table(title, columns, compared, alone):
    rows = [("", columns)]
    for split, (paper, found) in compared.items():
        rows += [(f"{split}, paper", _percent(paper)), (f"{split}, OccWalk", _percent(found))]
    rows += [(f"{split}, OccWalk", _percent(found)) for split, found in alone.items()]
    return [
        "",
        title,
        *(f"  {name:<18}" + "".join(f"{cell:>8}" for cell in row) for name, row in rows),
    ]


def _percent(shares):
    return [f"{100 * share:.1f}" for share in shares]
