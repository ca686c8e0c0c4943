"""Numbers of the COCO dataset as torchvision's detectors use them."""

PERSON_LABEL = 1
NUM_CLASSES = 91  # with the background, label 0
NUM_KEYPOINTS = 17
