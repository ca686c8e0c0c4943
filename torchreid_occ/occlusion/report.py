"""The page of an occluded copy: how much is hidden, beside the paper's tables, and pictures."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from torchreid_occ._types import Item
from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.data.images import read_image
from torchreid_occ.data.overlay import draw_supervision
from torchreid_occ.data.supervision import Supervision
from torchreid_occ.data.tracklets import tracklets_of
from torchreid_occ.occlusion.dataset import Occluded, OccludedGroundTruth
from torchreid_occ.occlusion.draws import keyed_rng
from torchreid_occ.occwalk.stats import tables
from torchreid_occ.utils.files import remove_partial_files, replacing, write_text

HEIGHT, WIDTH = 232, 108  # of a frame in a sheet
ROWS, COLUMNS = 10, 10
NOTE = """
Rows "copy" are this copy's, rows "paper" those of Occluded-DukeMTMC-VideoReID (RFCnet, Tables 1
and 2). The copy occludes from one third to three quarters of a tracklet's frames unless options say
otherwise, and hides 10 to 80 % of the person where it hides most.

`{part}.png` shows tracklets as rows, `{part}_frames.png` random occluded frames, each beside what
the copy knows of it: green is seen of the person, red is hidden.
"""


def write_report(dataset: Occluded, parts: Sequence[str]) -> Path:
    """Writes statistics and contact sheets of a copy, ``report.md`` and ``report/*.png``.

    Args:
        dataset: The copy.
        parts: Its subsets that are occluded.

    Returns:
        Path of the page.
    """
    folder = dataset.dataset_dir
    truth = dataset.ground_truth()
    subsets = tracklets_of(dataset)
    shares = {
        part: [np.array([truth.hidden_share(path) for path in paths]) for paths, *_ in
               subsets[part]]
        for part in parts
    }  # fmt: skip
    (folder / "report").mkdir(exist_ok=True)
    remove_partial_files(folder / "report")  # of a killed call
    changed = [part for part in parts if any(share.any() for share in shares[part])]
    for part in changed:
        sheets = {
            part: tracklet_sheet(subsets[part], truth),
            f"{part}_frames": frame_sheet(subsets[part], truth),
        }
        for name, sheet in sheets.items():
            with replacing(folder / "report" / f"{name}.png") as file:
                file.write(
                    cv2.imencode(".png", sheet, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
                )
    manifest = dataset.manifest
    title = f"Occluded copy of {manifest['source']['name']}, seed {manifest['seed']}"
    text = tables(title, "copy", shares)
    note = NOTE.format(part=next(iter(changed), "query"))
    path = folder / "report.md"
    write_text(path, f"# {title}\n{note}\n```\n{text}\n```\n")
    return path


def tracklet_sheet(tracklets: Sequence[Item], truth: OccludedGroundTruth) -> npt.NDArray[np.uint8]:
    """Draws occluded tracklets as rows.

    Args:
        tracklets: Tracklets of a subset.
        truth: Ground truth of their occluders.

    Shape:
        returns ``(H, W, 3)``, blue first.
    """
    occluded = [paths for paths, *_ in tracklets if any(map(truth.occluders, paths))]
    chosen = keyed_rng(0).permutation(len(occluded))[:ROWS]
    sheet = np.zeros((len(chosen), HEIGHT, COLUMNS, WIDTH, 3), np.uint8)
    for row, number in zip(sheet, np.sort(chosen).tolist(), strict=True):
        for column, path in enumerate(spread_frames(occluded[number], COLUMNS)):
            row[:, column] = _enlarged(path)
    return sheet.reshape(-1, COLUMNS * WIDTH, 3)


def frame_sheet(tracklets: Sequence[Item], truth: OccludedGroundTruth) -> npt.NDArray[np.uint8]:
    """Draws random occluded frames, each beside itself with what is known of it.

    Args:
        tracklets: Tracklets of a subset.
        truth: Ground truth of their occluders.

    Shape:
        returns ``(H, W, 3)``, blue first.
    """
    frames = [path for paths, *_ in tracklets for path in paths if truth.occluders(path)]
    chosen = keyed_rng(1).permutation(len(frames))[: ROWS * COLUMNS]
    sheet = np.zeros((ROWS, HEIGHT, COLUMNS, 2 * WIDTH, 3), np.uint8)
    for place, number in enumerate(chosen.tolist()):
        path = frames[number]
        picture = _enlarged(path)
        masks = [_mask(known, path) for known in (truth.visible(), truth.whole())]
        known = picture.copy()
        draw_supervision(known, np.full(4, np.nan), masks[0])
        hidden = np.asarray((masks[1] > 127) & (masks[0] <= 127))
        known[hidden] = known[hidden] // 2 + np.array([20, 20, 127], np.uint8)
        text = f"{100 * truth.hidden_share(path):.0f}%"
        cv2.putText(known, text, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
        row, column = divmod(place, COLUMNS)
        sheet[row, :, column] = np.hstack([picture, known])
    return sheet.reshape(-1, COLUMNS * 2 * WIDTH, 3)


def _enlarged(path: str) -> npt.NDArray[np.uint8]:
    frame = np.asarray(read_image(path), np.uint8)[..., ::-1]
    return np.asarray(cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def _mask(masks: Supervision, path: str) -> npt.NDArray[np.uint8]:
    mask = np.asarray(masks.foreground(path), np.uint8)
    return np.asarray(cv2.resize(mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)
