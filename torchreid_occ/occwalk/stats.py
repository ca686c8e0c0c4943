"""Occlusion statistics beside those that the paper prints of Occluded-DukeMTMC-VideoReID."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np

from torchreid_occ.occwalk.arrays import Floats
from torchreid_occ.occwalk.protocol import FRACTION_EDGES, SPLITS, TRACKLET_SHARES
from torchreid_occ.utils.documents import read_json

# RFCnet, Table 2: share of the occluded frames by hidden fraction of the person.
OCCLUSION_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
FRAME_SHARES = {
    "query": (0.135, 0.111, 0.124, 0.148, 0.149, 0.156, 0.111, 0.066),
    "gallery": (0.133, 0.112, 0.123, 0.147, 0.144, 0.146, 0.112, 0.083),
}


def read_fractions(folder: Path) -> dict[str, list[Floats]]:
    """Returns for each split of a rendering the hidden fractions of each tracklet's frames."""
    occlusion = read_json(folder / "ground_truth/occlusion.json")
    return {
        split: [
            np.array([occlusion[frame.name][1] for frame in sorted(tracklet.iterdir())])
            for tracklet in sorted((folder / split).glob("*/*"))
        ]
        for split in SPLITS
    }


def tracklet_shares(tracklets: list[Floats]) -> Floats:
    """Returns Table 1's row: shares of tracklets by ratio of occluded frames, first without any."""
    ratios = np.array([np.mean(fractions > 0) for fractions in tracklets])
    edges = (0.0, 1e-9, *FRACTION_EDGES[1:-1], np.inf)
    return np.histogram(ratios, edges)[0] / len(ratios)


def frame_shares(tracklets: list[Floats]) -> Floats:
    """Returns Table 2's row: shares of occluded frames by hidden fraction of the person."""
    fractions = np.concatenate(tracklets)
    hidden = fractions[fractions > 0]
    return np.histogram(hidden, OCCLUSION_EDGES)[0] / max(1, len(hidden))


def describe(folder: Path) -> str:
    """Formats the paper's Tables 1 and 2, with the rendering's row below each row of the paper."""
    return tables(folder.name, "OccWalk", read_fractions(folder))


def tables(title: str, name: str, splits: Mapping[str, list[Floats]]) -> str:
    """Formats the paper's Tables 1 and 2, with a dataset's row below each row of the paper.

    Args:
        title: The first line.
        name: Name of the dataset in its rows.
        splits: For each split the hidden fractions of each tracklet's frames. The paper's splits
            are query and gallery; one that is missing has the paper's row alone.
    """
    lines = [f"{title}: tracklets and frames by split"]
    for split, tracklets in splits.items():
        frames = sum(map(len, tracklets))
        lines.append(f"  {split:<8}{len(tracklets):>6} tracklets {frames:>8} frames")
    lines += _table(
        "Table 1. Tracklets (%) by fraction of occluded frames (%)",
        ["0", *_ranges(FRACTION_EDGES)],
        TRACKLET_SHARES,
        {f"{split}, {name}": tracklet_shares(found) for split, found in splits.items()},
    )
    lines += _table(
        "Table 2. Occluded frames (%) by occluded fraction of the person (%)",
        _ranges(OCCLUSION_EDGES),
        FRAME_SHARES,
        {f"{split}, {name}": frame_shares(found) for split, found in splits.items()},
    )
    return "\n".join(lines)


def _ranges(edges: Sequence[float]) -> list[str]:
    return [f"{low * 100:.0f}-{high * 100:.0f}" for low, high in pairwise(edges)]


Shares: TypeAlias = Floats | Sequence[float]


def _table(
    title: str, columns: list[str], paper: Mapping[str, Shares], found: Mapping[str, Shares]
) -> list[str]:
    """Formats a table: a split's rows together, those that the paper has no row of at the end."""
    order = [*FRAME_SHARES, *(row.partition(",")[0] for row in found)]
    rows: dict[str, list[str]] = {"": columns}
    for split in dict.fromkeys(order):
        if split in FRAME_SHARES:
            rows[f"{split}, paper"] = _percent(paper[split])
        rows |= {row: _percent(own) for row, own in found.items() if row.startswith(f"{split},")}
    return [
        "",
        title,
        *(f"  {name:<18}" + "".join(f"{cell:>8}" for cell in row) for name, row in rows.items()),
    ]


def _percent(shares: Iterable[float]) -> list[str]:
    return [f"{100 * share:.1f}" for share in shares]
