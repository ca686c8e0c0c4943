#!/usr/bin/env bash
# Ground truth in the layout of MOT15, evaluated by the package trackers.
#
# Guess: ground truth evaluated against itself has MOTA, HOTA and IDF1 of 1, in each generation of
#   MOTChallenge files.
# Seen: in MOT16 and later the eighth column is a class, 1 for pedestrians. In MOT15 the last three
#   columns are world coordinates, -1 where unknown. The metrics read the eighth column as a class
#   in both, so no row of MOT15 counts as ground truth, all boxes are false positives and the
#   scores are 0, without a warning. The same rows with seven columns have 1.
# Fails if the scores of the MOT15 layout are no longer 0, or if the others are not 1.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  trackers==2.6.1 supervision==0.31.2 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

from trackers.eval import evaluate_mot_sequence

TAILS = {  # what follows frame, id, left, top, width, height
    "MOT15, no world coordinates": "1,-1,-1,-1",
    "MOT15, world coordinates": "1,5.1,3.2,0",
    "MOT17": "1,1,1.0",
    "seven columns": "1",
}

print("trackers", version("trackers"), "supervision", version("supervision"))
seen = {}
for name, tail in TAILS.items():
    rows = [
        f"{frame},{person},{200 * person + frame},20,50,100,{tail}\n"
        for frame in range(1, 21)
        for person in (1, 2)
    ]
    Path("gt.txt").write_text("".join(rows))
    result = evaluate_mot_sequence("gt.txt", "gt.txt", metrics=["CLEAR", "HOTA", "Identity"])
    seen[name] = (result.CLEAR.MOTA, result.HOTA.HOTA, result.Identity.IDF1)
    print(f"{name}: MOTA {seen[name][0]:g}, HOTA {seen[name][1]:g}, IDF1 {seen[name][2]:g}, "
          f"{result.CLEAR.CLR_TP} true and {result.CLEAR.CLR_FP} false positives")
for name, scores in seen.items():
    expected = 0 if name.startswith("MOT15") else 1
    if any(abs(score - expected) > 1e-6 for score in scores):
        sys.exit("The behaviour has changed.")
PYTHON
