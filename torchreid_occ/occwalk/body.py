"""Shapes of a walking person and their painting order, seen from any side."""

from collections.abc import Sequence

import numpy as np

from torchreid_occ.occwalk.arrays import Floats
from torchreid_occ.occwalk.gait import Joint
from torchreid_occ.occwalk.identity import Identity
from torchreid_occ.occwalk.shapes import Shape, Surface, capsule, profile, shaded

# Painting order: far arm, legs, skirt, torso, neck, head, near arm.
FAR_ARM, LEGS, SKIRT, BEHIND, TORSO, STRAP, HEAD, NEAR_ARM = (
    -3.0,
    -2.0,
    -1.0,
    -0.5,
    0.0,
    0.3,
    1.0,
    2.0,
)
# The torso from the neck down: position on the spine (1: neck, 0: hips), half width, half depth.
TORSO_PROFILE = (
    (1.02, 0.035, 0.04),
    (0.97, 0.085, 0.055),
    (0.88, 0.112, 0.068),
    (0.65, 0.103, 0.076),
    (0.32, 0.088, 0.07),
    (0.0, 0.094, 0.076),
)
HEMS = {"tshirt": -0.08, "shirt": -0.14, "jacket": -0.1, "coat": -0.72}
SLEEVES = {"tshirt": 0.55, "shirt": 1.0, "jacket": 1.0, "coat": 1.0}
BULK = {"tshirt": 1.0, "shirt": 1.03, "jacket": 1.14, "coat": 1.14}


class BodyView:
    """A body as seen by a camera: joints in the image, their depths, and the heading.

    Args:
        points: Image points of the joints in body heights.
        depth: Their depths towards the camera.
        heading: Direction of walking in radians, 0 towards the camera.

    Shape:
        points ``(T, joints, 2)``, depth ``(T, joints)``, heading ``(T,)``.
    """

    def __init__(self, points: Floats, depth: Floats, heading: Floats) -> None:
        self.points, self.depth = points, depth
        self.sin, self.cos = np.sin(heading), np.cos(heading)

    def at(self, joint: Joint, forward: float = 0.0, left: float = 0.0, up: float = 0.0) -> Floats:
        """Returns a joint's image points, moved along the body's axes."""
        return self.points[:, joint] + np.stack(
            [forward * self.sin + left * self.cos, np.full_like(self.sin, -up)], axis=-1
        )

    def breadth(self, half_width: float, half_depth: float) -> Floats:
        """Returns half the visible breadth of an upright solid of elliptical section."""
        return np.hypot(half_width * self.cos, half_depth * self.sin)


def body_shapes(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    """Lists all shapes of a person.

    Args:
        identity: The person.
        view: The body as seen by the camera.
        light: -1 for light from the left, 1 from the right.
    """
    return [
        *_legs(identity, view, light),
        *_torso(identity, view, light),
        *_arms(identity, view, light),
        *_head(identity, view, light),
        *_bag(identity, view, light),
    ]


def _legs(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    girth, kind = identity.body.girth, identity.lower.kind
    thigh_surface = Surface.SKIN if kind == "skirt" else Surface.LOWER
    shank_surface = Surface.LOWER if kind == "trousers" else Surface.SKIN
    loose = 1.15 if kind == "trousers" else 1.0
    shapes = []
    depths = {side: _mean_depth(view, side, ("KNEE", "ANKLE")) for side in ("LEFT", "RIGHT")}
    for side, other in (("LEFT", "RIGHT"), ("RIGHT", "LEFT")):
        hip, knee, ankle, toe = (
            view.at(Joint[f"{side}_{name}"]) for name in ("HIP", "KNEE", "ANKLE", "TOE")
        )
        order = LEGS + np.sign(depths[side] - depths[other]) * 0.3
        far = depths[side] < depths[other] - 0.04
        shank = capsule(knee, ankle, 0.04 * girth * loose, 0.026 * girth * loose)
        thigh = capsule(hip, knee, 0.062 * girth, 0.043 * girth * loose)
        heel = view.at(Joint[f"{side}_ANKLE"], forward=-0.02, up=-0.012)
        shoe = capsule(heel, toe - [0.0, 0.004], 0.027, 0.02)
        shapes += shaded(order, Surface.SHOES, shoe, light, far)
        shapes += shaded(order + 0.01, shank_surface, shank, light, far)
        shapes += shaded(order + 0.02, thigh_surface, thigh, light, far)
        if kind == "shorts":
            cuff = capsule(hip, 0.15 * hip + 0.85 * knee, 0.066 * girth, 0.056 * girth)
            shapes += shaded(order + 0.03, Surface.LOWER, cuff, light, far)
    if kind == "skirt":
        shapes += _skirt(identity, view, light)
    return shapes


def _skirt(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    knees = (view.points[:, Joint.LEFT_KNEE] + view.points[:, Joint.RIGHT_KNEE]) / 2
    spread = np.abs(view.points[:, Joint.LEFT_KNEE, 0] - view.points[:, Joint.RIGHT_KNEE, 0]) / 2
    waist = view.at(Joint.PELVIS, up=0.06)
    spine = np.stack([waist, view.at(Joint.PELVIS), np.add(knees, [0.0, 0.02])], axis=1)
    girth = identity.body.girth
    top, hips = view.breadth(0.085, 0.07) * girth, view.breadth(0.1, 0.085) * girth
    widths = np.stack([top, hips, np.maximum(hips, spread + 0.05) + 0.012], axis=1)
    return shaded(SKIRT, Surface.LOWER, profile(spine, widths), light)


def _torso(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    kind, girth = identity.upper.kind, identity.body.girth * BULK[identity.upper.kind]
    rows = [*TORSO_PROFILE, (HEMS[kind], 0.1 if kind != "coat" else 0.112, 0.08)]
    neck, pelvis = view.at(Joint.NECK), view.at(Joint.PELVIS)
    spine = np.stack([pelvis + place * (neck - pelvis) for place, _, _ in rows], axis=1)
    broad = identity.body.shoulder / 0.112
    widths = np.stack(
        [
            view.breadth(width * (broad if place > 0.8 else girth), depth * girth)
            for place, width, depth in rows
        ],
        axis=1,
    )
    neck_shape = capsule(neck, view.at(Joint.HEAD, up=-0.03), 0.034, 0.03)
    return [
        *shaded(TORSO, Surface.UPPER, profile(spine, widths), light),
        *shaded(STRAP, Surface.SKIN, neck_shape, light, far=True),
    ]


def _arms(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    kind, girth = identity.upper.kind, np.sqrt(identity.body.girth)
    bulk = girth * BULK[kind]
    shapes = []
    for side in ("LEFT", "RIGHT"):
        shoulder, elbow, wrist = (
            view.at(Joint[f"{side}_{name}"]) for name in ("SHOULDER", "ELBOW", "WRIST")
        )
        depth = _mean_depth(view, side, ("SHOULDER", "ELBOW", "WRIST"))
        order = np.where(depth > 0, NEAR_ARM, FAR_ARM)
        far = depth < -0.05
        hand = wrist + (wrist - elbow) * 0.16
        forearm_surface = Surface.UPPER if SLEEVES[kind] == 1.0 else Surface.SKIN
        sleeve_end = shoulder + (elbow - shoulder) * (1.0 if SLEEVES[kind] == 1.0 else 0.75)
        shapes += shaded(order, Surface.SKIN, capsule(wrist, hand, 0.021, 0.019), light, far)
        if forearm_surface == Surface.SKIN:
            bare = capsule(shoulder, elbow, 0.034 * girth, 0.028 * girth)
            shapes += shaded(order + 0.01, Surface.SKIN, bare, light, far)
        forearm = capsule(elbow, wrist, 0.029 * bulk, 0.022 * bulk)
        shapes += shaded(order + 0.02, forearm_surface, forearm, light, far)
        sleeve = capsule(shoulder, sleeve_end, 0.04 * bulk, 0.033 * bulk)
        shapes += shaded(order + 0.03, Surface.UPPER, sleeve, light, far)
    return shapes


def _head(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    """Lists a skull of hair with a face in front, and a hat."""
    style, head = identity.body.hair_style, Joint.HEAD
    away = view.cos < -0.35  # the back of the head is turned to the camera
    face = capsule(view.at(head, 0.014, up=0.022), view.at(head, 0.018, up=-0.03), 0.048, 0.04)
    skull = capsule(view.at(head, -0.008, up=0.024), view.at(head, -0.012, up=-0.012), 0.058, 0.05)
    skull_surface = Surface.SKIN if style == "bald" else Surface.HAIR
    shapes = [
        *shaded(np.where(away, HEAD, HEAD + 0.2), Surface.SKIN, face, light),
        *shaded(HEAD + 0.1, skull_surface, skull, light),
    ]
    if style != "bald":
        fringe = capsule(view.at(head, 0.0, up=0.046), view.at(head, 0.02, up=0.05), 0.034, 0.022)
        shapes += shaded(HEAD + 0.3, Surface.HAIR, fringe, light, far=True)
    if style == "long":
        mane = capsule(view.at(head, -0.025, up=0.01), view.at(head, -0.045, up=-0.12), 0.052, 0.05)
        shapes += shaded(np.where(away, HEAD + 0.4, BEHIND), Surface.HAIR, mane, light)
    if style == "bun":
        bun = capsule(view.at(head, -0.06, up=0.05), view.at(head, -0.066, up=0.045), 0.026, 0.026)
        shapes += shaded(np.where(away, HEAD + 0.4, HEAD - 0.1), Surface.HAIR, bun, light)
    if identity.hat != "none":
        crown = capsule(view.at(head, -0.006, up=0.045), view.at(head, 0.0, up=0.034), 0.057, 0.056)
        shapes += shaded(HEAD + 0.5, Surface.HAT, crown, light)
    if identity.hat == "cap":
        brim = capsule(view.at(head, 0.03, up=0.03), view.at(head, 0.085, up=0.022), 0.02, 0.012)
        shapes += shaded(np.where(away, HEAD - 0.1, HEAD + 0.6), Surface.HAT, brim, light, far=True)
    return shapes


def _bag(identity: Identity, view: BodyView, light: float) -> list[Shape]:
    if identity.bag == "none":
        return []
    return {"backpack": _backpack, "messenger": _messenger, "handbag": _handbag}[identity.bag](
        view, light
    )


def _backpack(view: BodyView, light: float) -> list[Shape]:
    rows = ((0.03, 0.06, 0.04), (-0.01, 0.085, 0.06), (-0.15, 0.095, 0.068), (-0.24, 0.08, 0.055))
    spine = np.stack([view.at(Joint.NECK, -0.115, up=up - 0.03) for up, _, _ in rows], axis=1)
    widths = np.stack([view.breadth(width, depth) for _, width, depth in rows], axis=1)
    order = np.where(view.cos < -0.2, STRAP + 0.2, BEHIND)
    shapes = shaded(order, Surface.BAG, profile(spine, widths), light)
    strap_order = np.where(view.cos > 0.2, STRAP, BEHIND)
    for side in (-0.065, 0.065):
        top = view.at(Joint.NECK, 0.03, side, -0.015)
        strap = capsule(top, view.at(Joint.NECK, 0.04, side * 1.2, -0.2), 0.014, 0.012)
        shapes += shaded(strap_order, Surface.BAG, strap, light, far=True)
    return shapes


def _messenger(view: BodyView, light: float) -> list[Shape]:
    """Lists a bag at the left hip on a strap over the right shoulder."""
    hip = view.at(Joint.LEFT_HIP, left=0.055, up=-0.01)
    bag = capsule(hip - [0.0, 0.02], np.add(hip, [0.0, 0.05]), 0.058, 0.062)
    near = -view.sin > -0.3
    strap = capsule(view.at(Joint.RIGHT_SHOULDER, left=0.05, up=0.02), hip, 0.012, 0.012)
    return [
        *shaded(STRAP, Surface.BAG, strap, light, far=True),
        *shaded(np.where(near, NEAR_ARM + 0.5, FAR_ARM - 0.1), Surface.BAG, bag, light),
    ]


def _handbag(view: BodyView, light: float) -> list[Shape]:
    wrist = view.at(Joint.RIGHT_WRIST, up=-0.03)
    top, bottom = (view.at(Joint.RIGHT_WRIST, up=up) for up in (-0.08, -0.13))
    bag = capsule(top, bottom, 0.045, 0.058)
    handle = capsule(wrist, top, 0.01, 0.01)
    order = np.where(_mean_depth(view, "RIGHT", ("WRIST",)) > 0, NEAR_ARM + 0.5, FAR_ARM - 0.1)
    return shaded(order, Surface.BAG, handle, light) + shaded(order, Surface.BAG, bag, light)


def _mean_depth(view: BodyView, side: str, names: Sequence[str]) -> Floats:
    return np.mean([view.depth[:, Joint[f"{side}_{name}"]] for name in names], axis=0)
