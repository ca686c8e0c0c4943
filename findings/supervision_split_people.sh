#!/usr/bin/env bash
# Masks of people that supervision writes in COCO's format (DetectionDataset.as_coco), where one stands behind a pole
# that divides what is seen of them into two parts.
#
# Guess: each mask becomes an ordinary annotation, in whichever form it is stored. Somebody who is not detected
#   lowers the recall.
# Seen: a mask of two parts, or with a hole, as between an arm and the body, is stored as RLE and, with it, marked as
#   a crowd (iscrowd 1). Evaluation leaves crowds out, and training skips them: a detector that finds all people but
#   the half hidden ones has a recall and an average precision (AP) of 1. With the mark taken off they are 0.75.
# Fails if the person behind the pole is not marked, or others are, or if missing them lowers the scores.
set -euo pipefail

sed -n '2,/^set/s/^# \{0,1\}//p' "$0"  # prints the above
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
  supervision==0.31.2 pycocotools==2.0.11 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$work"
venv/bin/python - <<'PYTHON'
import contextlib
import io
import json
import sys
from importlib.metadata import version

import cv2
import numpy as np
import supervision
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print(*(f"{name} {version(name)}" for name in ("supervision", "pycocotools")))
rows, columns = np.mgrid[:240, :640]
masks = np.array([((columns - left) / 30) ** 2 + ((rows - 120) / 90) ** 2 < 1 for left in (80, 240, 400, 560)])
masks[3, :, 556:564] = False  # a pole
cv2.imwrite("gate.png", np.zeros((240, 640, 3), np.uint8))
people = supervision.Detections(
    xyxy=supervision.mask_to_xyxy(masks).astype(float), mask=masks, class_id=np.zeros(len(masks), int)
)
dataset = supervision.DetectionDataset(["person"], ["gate.png"], {"gate.png": people})
dataset.as_coco(annotations_path="truth.json")


def recall_and_precision(truth):
    """Returns those of the exact masks of the people in front, with a score of 0.9, in percent."""
    found = [
        {
            "image_id": truth["images"][0]["id"],
            "category_id": truth["annotations"][0]["category_id"],
            "segmentation": rle.encode(np.asfortranarray(mask.astype(np.uint8))),
            "score": 0.9,
        }
        for mask in masks[:3]
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "segm")
        evaluation.params.iouThrs = np.array([0.5, 0.75])
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    return round(100 * recall[0, 0, 0, -1]), round(100 * precision[0, :, 0, 0, -1].mean())


with open("truth.json") as file:
    text = file.read()
truth = json.loads(text)
crowds = [annotation["iscrowd"] for annotation in truth["annotations"]]
print("iscrowd of three people in front and one behind a pole:", crowds)
as_written = recall_and_precision(truth)
truth = json.loads(text)
for annotation in truth["annotations"]:
    annotation["iscrowd"] = 0
unmarked = recall_and_precision(truth)
print("recall and AP in percent of a detector that does not find the last one:", *as_written)
print("the same, with iscrowd set to 0 in the file:", *unmarked)
if crowds != [0, 0, 0, 1] or as_written != (100, 100) or unmarked[0] != 75:
    sys.exit("The behaviour has changed.")
PYTHON
