#!/usr/bin/env bash
# Tracks that were drawn in a video by CVAT ("CVAT for video 1.1"), read by Datumaro and written as MOTChallenge
# ground truth. A person is seen in frames 0 to 4 and another in frames 100 to 104; each track ends, as CVAT writes
# it, with a box that is marked outside="1": from there on nobody is seen.
#
# Guess: the ground truth has ten rows: frames 1 to 5 and 101 to 105, since MOTChallenge counts from 1.
# Seen: it has twelve, of frames 1 to 12. Frames are counted as far as they have boxes, so the second person comes
#   94 frames early, right behind the first one. The two boxes that are marked outside are rows like others, fully
#   visible. COCO files have those boxes, too.
# Fails if the rows are the guessed ones, or if the frames or the number of boxes are.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6
cd "$work"
mkdir video
venv/bin/python - 2> log <<'PYTHON' || { cat log >&2; exit 1; }
import json
import sys
from importlib.metadata import version
from pathlib import Path

import datumaro

print("datumaro", version("datumaro"))
SEEN = [range(5), range(100, 105)]  # frames of each person, from 0


def box(frame, outside):
    return (
        f'<box frame="{frame}" keyframe="1" outside="{outside}" occluded="0" xtl="{frame}.0" ytl="20.0" '
        f'xbr="{frame + 50}.0" ybr="120.0" z_order="0"></box>'
    )


tracks = "".join(
    f'<track id="{person}" label="person" source="manual">'
    + "".join(box(frame, 0) for frame in frames)
    + box(frames.stop, 1)
    + "</track>"
    for person, frames in enumerate(SEEN)
)
Path("video/annotations.xml").write_text(
    '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><id>1</id>'
    "<size>200</size><mode>interpolation</mode><labels><label><name>person</name><attributes></attributes>"
    "</label></labels><original_size><width>640</width><height>360</height></original_size></task></meta>"
    f"{tracks}</annotations>"
)
dataset = datumaro.Dataset.import_from("video", "cvat")
dataset.export("mot", "mot_seq_gt")
dataset.export("coco", "coco_instances")
rows = [row.split(",") for row in Path("mot/gt/gt.txt").read_text().split()]
(coco,) = Path("coco/annotations").glob("*.json")
in_coco = len(json.loads(coco.read_text())["annotations"])
for person, frames in enumerate(SEEN, start=1):
    print(f"person {person}: drawn in frames", *(frame + 1 for frame in frames), "from 1; in the ground truth in",
          *(row[0] for row in rows if row[1] == str(person)))
print("visibility of all rows:", {row[8] for row in rows}, "boxes in COCO's file:", in_coco)
if [int(row[0]) for row in rows] != [*range(1, 13)] or in_coco != 12:
    sys.exit("The behaviour has changed.")
PYTHON
