#!/usr/bin/env bash
# Detections that are compared with ground truth in COCO's format, where the ids of the boxes count from 0.
#
# Guess: an annotation's id is a name. The boxes of the ground truth given as detections have an average precision
#   (AP) of 1, whichever ids they have.
# Seen: pycocotools keeps, for each detection, the id of the box that it matched, and 0 if there is none. A box whose
#   id is 0 is taken, and its detection is counted as a false one. With a box in each of three frames the AP is
#   0.44 and the recall 0.67, for ids 0 to 2, and 1 and 1 for ids 1 to 3. Small test sets lose most: of 1,000 boxes
#   a single one.
# Fails if the AP is 1 with an id of 0, or not with the others.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import contextlib
import io
import json
import sys
from importlib.metadata import version

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print("pycocotools", version("pycocotools"))
FRAMES = 3


def scores(first_id):
    """Returns the AP and the recall of the ground truth, a person in each frame, against itself."""
    boxes = [{"image_id": 10 + n, "category_id": 1, "bbox": [100 + n, 50, 40, 100]} for n in range(FRAMES)]
    truth = {
        "images": [{"id": 10 + n, "width": 640, "height": 360} for n in range(FRAMES)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": first_id + n, "area": 4000, "iscrowd": 0, **box} for n, box in enumerate(boxes)
        ],
    }
    with open("truth.json", "w") as file:
        json.dump(truth, file)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO("truth.json")
        found = truth.loadRes([{"score": 0.9, **box} for box in boxes])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 3), round(float(evaluation.stats[8]), 3)


seen = {first_id: scores(first_id) for first_id in (0, 1)}
for first_id, (precision, recall) in seen.items():
    print(f"ids from {first_id}: AP {precision}, recall {recall}")
if seen[0][0] > 0.9 or seen[1] != (1, 1):
    sys.exit("The behaviour has changed.")
PYTHON
