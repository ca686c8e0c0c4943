#!/usr/bin/env bash
# Two people of whom one half hides the other, found by a detector as two boxes in one and the same slice, and joined
# by SAHI, which detects small people in large frames slice by slice (get_sliced_prediction, as it comes).
#
# Guess: joining is for what several slices cut or find twice. What a detector gave as two boxes in one slice stays two
#   boxes, above all if the whole frame is one slice.
# Seen: any two boxes are joined of which the smaller one lies by half in the other, so the half hidden person is
#   gone, and the box of the person in front is as large as both. It is the same in a single slice. By the metric IOU
#   the two stay, but so do the parts of people whom slices cut.
# Fails if two boxes come from a single slice, or if the detector's own two boxes do not come without slices.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check sahi==0.12.8 numpy==2.4.6
cd "$work"
venv/bin/python - 2> log <<'PYTHON' || { cat log >&2; exit 1; }
import sys
from importlib.metadata import version

import numpy as np
from sahi.models.base import DetectionModel
from sahi.predict import get_prediction, get_sliced_prediction
from sahi.prediction import ObjectPrediction

print("sahi", version("sahi"))
PEOPLE = {0.95: (600, 300, 700, 560), 0.9: (660, 300, 730, 480)}  # scores and boxes; the first stands in front


class Detector(DetectionModel):
    """Finds both people, as far as they are inside what it is shown."""

    def check_dependencies(self, *_args, **_options):
        pass

    def load_model(self):
        self.model = self

    def perform_inference(self, image):
        self._original_predictions = image.shape[:2]

    def _create_object_prediction_list_from_original_predictions(self, shift_amount_list=None, full_shape_list=None):
        (height, width), (x, y) = self._original_predictions, np.ravel(shift_amount_list or (0, 0))
        shape = np.ravel(full_shape_list or (height, width)).tolist()
        found = []
        for score, box in PEOPLE.items():
            cut = np.subtract(box, (x, y, x, y)).clip(0, (width, height, width, height))
            if (cut[2:] - cut[:2]).min() > 5:
                shift = [int(x), int(y)]
                found.append(ObjectPrediction(cut.astype(float).tolist(), 0, "person", None, score, shift, shape))
        self._object_prediction_list_per_image = [found]


def boxes(result):
    return [[round(float(side)) for side in found.bbox.to_xyxy()] for found in result.object_prediction_list]


frame, detector = np.zeros((1080, 1920, 3), np.uint8), Detector(device="cpu")
whole = boxes(get_prediction(frame, detector))
one = boxes(get_sliced_prediction(frame, detector, slice_height=1080, slice_width=1920, verbose=0))
slices = boxes(get_sliced_prediction(frame, detector, slice_height=640, slice_width=1000, verbose=0))
print(f"without slices: {whole}")
print(f"one slice of 1920x1080: {one}")
print(f"slices of 1000x640: {slices}")
if sorted(whole) != sorted(map(list, PEOPLE.values())) or len(one) != 1 or len(slices) != 1:
    sys.exit("The behaviour has changed.")
PYTHON
