"""Small videos of coloured rectangles that walk, and what is to be found in them."""

import cv2
import numpy as np

FRAMES, FPS, SIZE = 30, 10, (160, 120)
COLOURS = {1: (250, 30, 30), 2: (30, 250, 30)}  # blue and green, in OpenCV's order


def corners(person, frame):
    """Where a person is: one walks right, one left, in rows of their own."""
    left = 5 + 3 * frame if person == 1 else 130 - 3 * frame
    top = 10 if person == 1 else 70
    return left, top, left + 16, top + 40


def image(number, size=SIZE):
    pixels = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    for person, colour in COLOURS.items():
        left, top, right, bottom = corners(person, number)
        pixels[top:bottom, left:right] = colour
    return cv2.resize(pixels, size)


def write_video(path, frames=FRAMES, fps=FPS):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, SIZE)
    for number in range(1, frames + 1):
        writer.write(image(number))
    writer.release()
    return path


def mot_lines(ids=None, frames=range(1, FRAMES + 1), score=0.9):
    """Lines of both people's true boxes; without ids they are detections."""
    return [
        f"{frame},{ids[person] if ids else -1},{left},{top},16,40,{score},-1,-1,-1"
        for frame in frames
        for person in COLOURS
        for left, top, *_ in [corners(person, frame)]
    ]


def colour_of(path):
    """The median colour of an image file, as the nearest person's number."""
    pixels = cv2.imread(str(path)).reshape(-1, 3)
    middle = np.median(pixels, axis=0)
    return min(COLOURS, key=lambda person: np.abs(middle - COLOURS[person]).sum())


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
