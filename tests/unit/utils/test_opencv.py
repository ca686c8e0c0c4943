"""A worker sets OpenCV's threads, whatever the process that it was forked from did with them."""

import subprocess
import sys

SCRIPT = """
import multiprocessing
import cv2
import numpy as np
from torchreid_occ.utils.opencv import compute_in_one_thread

cv2.setNumThreads(2)
for _ in range(5):  # OpenCV's threads begin, and wait for more
    cv2.GaussianBlur(np.zeros((1000, 1000, 3), np.uint8), (9, 9), 2)
worker = multiprocessing.get_context("fork").Process(target=compute_in_one_thread)
worker.start()
worker.join(20)
print(worker.exitcode)
worker.kill()
"""


def test_a_forked_worker_leaves_the_threads_of_its_parent():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
