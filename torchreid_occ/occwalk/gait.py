"""Walking: a skeleton in three dimensions, moved by the phase of the walk cycle."""

from enum import IntEnum, auto

import numpy as np

from torchreid_occ.occwalk.arrays import Floats
from torchreid_occ.occwalk.identity import Body, Gait

NECK_HEIGHT = 0.83
HEAD_HEIGHT = 0.925
SHOULDER_HEIGHT = 0.8
UPPER_ARM, FOREARM, FOOT = 0.165, 0.15, 0.085
ANKLE_HEIGHT = 0.035


class Joint(IntEnum):
    """Index of a joint in the arrays of :func:`walk` and :func:`project`."""

    PELVIS = 0
    NECK = auto()
    HEAD = auto()
    LEFT_SHOULDER = auto()
    RIGHT_SHOULDER = auto()
    LEFT_ELBOW = auto()
    RIGHT_ELBOW = auto()
    LEFT_WRIST = auto()
    RIGHT_WRIST = auto()
    LEFT_HIP = auto()
    RIGHT_HIP = auto()
    LEFT_KNEE = auto()
    RIGHT_KNEE = auto()
    LEFT_ANKLE = auto()
    RIGHT_ANKLE = auto()
    LEFT_TOE = auto()
    RIGHT_TOE = auto()


def walk(body: Body, gait: Gait, phase: Floats) -> Floats:
    """Computes joint positions at phases of the walk cycle, in body heights.

    Args:
        body: Proportions.
        gait: Manner of walking.
        phase: Phases in cycles; the left heel strikes the ground at whole numbers.

    Shape:
        phase ``(T,)``; returns ``(T, joints, 3)``: forward, to the walker's left, and up.
    """
    joints = np.zeros((len(phase), len(Joint), 3))
    joints[:, Joint.PELVIS] = 0.0, 0.0, body.leg
    joints[:, Joint.NECK] = gait.lean, 0.0, NECK_HEIGHT
    joints[:, Joint.HEAD] = gait.lean * 1.3 + 0.01, 0.0, HEAD_HEIGHT
    for side, sign, offset in (("LEFT", 1.0, 0.0), ("RIGHT", -1.0, 0.5)):
        _place_leg(joints, side, sign, body, gait, phase + offset)
        _place_arm(joints, side, sign, body, gait, phase + offset)
    # The lower foot stays on the ground, so the body moves up and down twice per cycle.
    feet = [Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE, Joint.LEFT_TOE, Joint.RIGHT_TOE]
    joints[..., 2] += ANKLE_HEIGHT - joints[:, feet, 2].min(axis=1, keepdims=True)
    return joints


def _place_leg(
    joints: Floats, side: str, sign: float, body: Body, gait: Gait, phase: Floats
) -> None:
    """Places a leg: the thigh swings as a cosine, the knee bends most in the swing phase."""
    thigh = gait.stride * np.cos(2 * np.pi * phase) + 0.06
    knee = 0.08 + 0.2 * _bump(phase, 0.12, 0.08) + 1.0 * _bump(phase, 0.72, 0.11)
    shank = thigh - knee
    foot = shank * 0.6 + 0.25 * _bump(phase, 0.97, 0.06) - 0.25 * _bump(phase, 0.55, 0.07)
    length = (body.leg - ANKLE_HEIGHT) / 2
    hip = joints[:, Joint.PELVIS] + [0.0, sign * body.hip, 0.0]
    joints[:, Joint[f"{side}_HIP"]] = hip
    joints[:, Joint[f"{side}_KNEE"]] = hip + length * _down(thigh)
    joints[:, Joint[f"{side}_ANKLE"]] = joints[:, Joint[f"{side}_KNEE"]] + length * _down(shank)
    toe = joints[:, Joint[f"{side}_ANKLE"]] + FOOT * _down(foot + np.pi / 2)
    joints[:, Joint[f"{side}_TOE"]] = toe


def _place_arm(
    joints: Floats, side: str, sign: float, body: Body, gait: Gait, phase: Floats
) -> None:
    """Places an arm, which swings against the leg of its side."""
    swing = -gait.arm_swing * np.cos(2 * np.pi * phase)
    forearm = swing + gait.elbow + 0.35 * np.maximum(swing, 0)
    height = SHOULDER_HEIGHT - NECK_HEIGHT
    shoulder = joints[:, Joint.NECK] + [0.0, sign * body.shoulder, height]
    outward = np.array([0.0, sign * 0.03, 0.0])
    joints[:, Joint[f"{side}_SHOULDER"]] = shoulder
    elbow = shoulder + UPPER_ARM * _down(swing) + outward
    joints[:, Joint[f"{side}_ELBOW"]] = elbow
    joints[:, Joint[f"{side}_WRIST"]] = elbow + FOREARM * _down(forearm)


def _down(angle: Floats) -> Floats:
    """Returns unit vectors that hang down at angle 0 and point forward at a right angle."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=-1)


def _bump(phase: Floats, centre: float, width: float) -> Floats:
    """Computes a periodic bump of height 1."""
    distance = (phase - centre + 0.5) % 1.0 - 0.5
    return np.exp(-0.5 * (distance / width) ** 2)


def project(joints: Floats, heading: Floats, pitch: float) -> tuple[Floats, Floats]:
    """Projects the joints into a distant camera.

    Args:
        joints: Joint positions from :func:`walk`.
        heading: Direction of walking in radians: 0 towards the camera, pi/2 to its right.
        pitch: Angle in radians by which the camera looks down.

    Shape:
        joints ``(T, joints, 3)``, heading ``(T,)``; returns image points ``(T, joints, 2)``, x to
        the right and y down from the point on the ground below the walker, and depths
        ``(T, joints)`` towards the camera; all in body heights.
    """
    forward, left, up = np.moveaxis(joints, -1, 0)
    sin, cos = np.sin(heading)[:, None], np.cos(heading)[:, None]
    depth = forward * cos - left * sin
    points = np.stack(
        [forward * sin + left * cos, depth * np.sin(pitch) - up * np.cos(pitch)], axis=-1
    )
    return points, depth
