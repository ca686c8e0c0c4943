"""Contact sheets: tracklets as rows, their frames as columns, ground truth drawn into them."""

import cv2
import numpy as np

from torchreid_occ.data.frame_strip import spread_frames
from torchreid_occ.data.overlay import draw_supervision
from torchreid_occ.occwalk.arrays import Pixels
from torchreid_occ.occwalk.keys import keyed_rng
from torchreid_occ.occwalk.presets import Preset
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import RenderedTracklet, render_tracklet

ROW_HEIGHT = 256


def contact_sheet(
    preset: Preset, seed: int, rows: int = 12, columns: int = 12, overlay: bool = False
) -> Pixels:
    """Renders some tracklets of every split as a picture.

    Args:
        preset: What to render.
        seed: Seed of the rendering.
        rows: Number of tracklets.
        columns: Number of frames of each, evenly spaced in a longer one.
        overlay: Whether to draw split lines, visible masks and occlusion in percent.

    Shape:
        returns ``(rows * 256, columns * 256 * width / height, 3)``, blue first.
    """
    specs = list_tracklets(preset, seed)
    chosen = keyed_rng(seed, "preview").choice(len(specs), min(rows, len(specs)), replace=False)
    sheet = []
    for index in sorted(chosen):
        tracklet = render_tracklet(specs[index], preset, seed)
        width = ROW_HEIGHT * preset.width // preset.height
        row = np.zeros((columns, ROW_HEIGHT, width, 3), np.uint8)
        for place, frame in enumerate(spread_frames(range(len(tracklet.frames)), columns)):
            row[place] = _draw(tracklet, frame, width, overlay)
        sheet.append(np.hstack([*row]))
    return np.vstack(sheet)


def _draw(tracklet: RenderedTracklet, frame: int, width: int, overlay: bool) -> Pixels:
    size = (width, ROW_HEIGHT)
    picture = cv2.resize(tracklet.frames[frame], size, interpolation=cv2.INTER_CUBIC)
    if not overlay:
        return picture
    mask = cv2.resize(tracklet.visible[frame], size, interpolation=cv2.INTER_NEAREST)
    draw_supervision(picture, tracklet.keypoints[frame], mask)
    text = f"{100 * tracklet.fractions[frame]:.0f}%"
    cv2.putText(picture, text, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1)
    return picture
