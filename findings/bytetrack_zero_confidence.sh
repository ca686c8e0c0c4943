#!/usr/bin/env bash
# ByteTrack of the package trackers, with detections of confidence 0 and below.
#
# Guess: ByteTrack has a second round for boxes of low confidence, above a floor (0.1 in the code
#   that came with the paper). What a detector scores 0, or -1 for "unknown", continues no track.
# Seen: the second round takes every box below the upper threshold. A track that began with scores
#   of 0.9 goes on over boxes scored 0 or -1 for as long as they overlap, so that a detector run
#   without its own threshold keeps tracks alive on background.
# Fails if boxes with confidence 0 or -1 no longer continue the track.
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

import numpy as np
import supervision
from trackers import ByteTrackTracker

print("trackers", version("trackers"), "supervision", version("supervision"))


def followed(score):
    """Counts the frames, of ten with that score after ten with 0.9, that keep the first's track."""
    tracker = ByteTrackTracker()
    ids = []
    for number in range(20):
        boxes = supervision.Detections(
            xyxy=np.array([[10.0 + number, 10, 60 + number, 110]]),
            confidence=np.array([0.9 if number < 10 else score]),
        )
        ids.append(int(tracker.update(boxes).tracker_id[0]))
    return sum(found == ids[9] != -1 for found in ids[10:])


seen = {score: followed(score) for score in (0.5, 0.05, 0.0, -1.0)}
for score, frames in seen.items():
    print(f"confidence {score:g}: {frames} of 10 frames continue the track")
if set(seen.values()) != {10}:
    sys.exit("The behaviour has changed.")
PYTHON
