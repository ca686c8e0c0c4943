"""Measures how fast `torchreid-occ occlude` is, beside reading and writing the same frames.

    python tools/benchmarks/occlude.py --json occlude.json

Walks of `occwalk_full` (256x128, 32 to 96 frames) are rendered, and all of them are occluded by
people on one core. The other side decodes each frame and encodes it again, which any copy has to
do at least. Both are measured in turns, in seconds of the processor, so that other work on the
machine counts little.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from torchreid_occ.data.datasets.base import SUBSETS
from torchreid_occ.data.images import read_image
from torchreid_occ.data.tracklets import load_dataset, tracklets_of
from torchreid_occ.occlusion.files import encode_like
from torchreid_occ.occlusion.occlude import occlude_dataset
from torchreid_occ.occlusion.protocol import Protocol
from torchreid_occ.occwalk.presets import PRESETS
from torchreid_occ.occwalk.protocol import list_tracklets
from torchreid_occ.occwalk.render import render_tracklet
from torchreid_occ.utils.environment import hardware, versions
from torchreid_occ.utils.files import write_json


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracklets", type=int, default=60, metavar="N", help="of the gallery")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_walks(root, arguments.tracklets)
        items = tracklets_of(load_dataset("tracklet_folder", root))["gallery"]
        paths = [path for frames, *_ in items for path in frames]
        rates = {"occluded": [], "decoded and encoded": []}
        for repeat in range(arguments.repeats):
            start = time.process_time()
            occlude_dataset(
                "tracklet_folder", root, root / f"copy{repeat}", masks=root / "masks",
                parts=["gallery"], protocol=Protocol(gallery=1.0), workers=0,
            )  # fmt: skip
            rates["occluded"].append(len(paths) / (time.process_time() - start))
            start = time.process_time()
            for path in paths:
                encode_like(Path(path), np.asarray(read_image(path)))
            rates["decoded and encoded"].append(len(paths) / (time.process_time() - start))
    print("| side | frames a second of a core |\n|---|---|")
    for side, values in rates.items():
        print(f"| {side} | {statistics.median(values):.0f} ({min(values):.0f} to "
              f"{max(values):.0f}) |")  # fmt: skip
    pairs = zip(*rates.values(), strict=True)
    print(f"{len(paths)} frames; ratio {statistics.median(a / b for a, b in pairs):.2f}")
    if arguments.json:
        about = {"hardware": hardware(False), "versions": versions(), "frames": len(paths)}
        write_json(arguments.json, {"measured": rates, **about})


def write_walks(root, count):
    """Writes rendered walks as a tracklet folder with masks; query and gallery have all people."""
    preset = PRESETS["occwalk_full"]
    walks = [spec for spec in list_tracklets(preset, 0) if spec.split == "gallery"][:count]
    lines = {}
    for spec in walks:
        walk = render_tracklet(spec, preset, 0)
        for number, stem in enumerate(spec.stems):
            mask = root / "masks" / "foreground" / stem / "foreground.png"
            mask.parent.mkdir(parents=True)
            Image.fromarray(walk.whole[number]).save(mask)
            lines[f"{stem}.jpg"] = walk.keypoints[number].tolist()
            # A query and a training tracklet of one frame each make the folder a dataset.
            for subset in SUBSETS if number == 0 else ["gallery"]:
                camera = root / subset / str(spec.pid) / f"{spec.camid}_{spec.number}"
                camera.mkdir(parents=True, exist_ok=True)
                frame = Image.fromarray(walk.clean[number][..., ::-1])
                frame.save(camera / f"{stem}.jpg", quality=walk.quality)
    (root / "masks" / "keypoints.json").write_text(json.dumps(lines))


if __name__ == "__main__":
    main()
