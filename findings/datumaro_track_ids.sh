#!/usr/bin/env bash
# MOTChallenge ground truth of two cameras, in which a person has the same id in both, read and written again by
# Datumaro, camera by camera.
#
# Guess: ids stay. What is read and written without a change in between has the same tracks.
# Seen: the tracks of each file are numbered anew from 1, in the order in which they come. Person 9, who is in both
#   files, is 2 in one and 1 in the other, and the 1s of the two files are different people: matches between
#   cameras that are counted by id are wrong, and nothing warns. COCO files keep the ids, as an attribute.
# Fails if the ids of the files stay.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6
cd "$work"
venv/bin/python - 2> log <<'PYTHON' || { cat log >&2; exit 1; }
import json
import sys
from importlib.metadata import version
from pathlib import Path

import datumaro

print("datumaro", version("datumaro"))
CAMERAS = {"gate": (7, 9), "yard": (9, 12)}  # ids of the people whom each camera sees


def people(camera):
    """Returns the id of each person in a file, by the left side of the box, which tells who it is."""
    rows = [row.split(",") for row in Path(camera, "gt/gt.txt").read_text().split()]
    return {round(float(left)) // 50: int(number) for _, number, left, *_ in rows}


changed = False
for camera, ids in CAMERAS.items():
    Path(camera, "gt").mkdir(parents=True)
    rows = [f"{frame},{number},{50 * number},20,40,100,1,1,1.0\n" for frame in (1, 2, 3) for number in ids]
    Path(camera, "gt/gt.txt").write_text("".join(rows))
    dataset = datumaro.Dataset.import_from(camera, "mot_seq")
    dataset.export(f"{camera}-again", "mot_seq_gt")
    dataset.export(f"{camera}-coco", "coco_instances")
    (coco,) = Path(f"{camera}-coco/annotations").glob("*.json")
    kept = {box["attributes"]["track_id"] for box in json.loads(coco.read_text())["annotations"]}
    seen = people(f"{camera}-again")
    print(f"{camera}:", *(f"person {old} becomes {new};" for old, new in seen.items()), "in COCO's file:", *sorted(kept))
    changed |= people(camera) != {number: number for number in ids} or [*seen.values()] != [1, 2] or kept != {*ids}
sys.exit("The behaviour has changed." if changed else 0)
PYTHON
