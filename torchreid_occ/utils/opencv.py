"""OpenCV's threads in worker processes."""

import cv2


def compute_in_one_thread() -> None:
    """Makes OpenCV compute in the calling thread, for small pictures in parallel processes.

    It is 0 threads, as 1 ends the threads that OpenCV has, and waits for ever in a worker that was
    forked from a process with such threads: a worker has none of them.
    """
    cv2.setNumThreads(0)
