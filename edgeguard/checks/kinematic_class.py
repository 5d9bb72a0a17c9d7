"""`kinematic_class`: does it look and move over time like what it is called?

Three things over a window of a second, the strangest counts:
- shape: mean of ln(width/height), against a Gaussian mixture per class group. A car called a person from its
  first frame on keeps its class and its size, but not a person's shape;
- speed over the ground: the LiDAR object's velocity, else that of the box at the range its size implies,
  with the vehicle's own motion added. Without own motion, what the vehicle could do itself is granted;
- acceleration, where LiDAR measures velocity, with the same grant.
Shape is −ln of the Gaussian tail to the nearest mode, speed and acceleration −ln of the tail beyond what the
class can do (`objects.MAX_SPEED`, `MAX_ACCELERATION`).

Stands in for PercepGuard's recurrent network over (cx, cy, w, h) windows (Man et al., USENIX Security 2023)
with what can be explained and checked: its strongest features are a box's shape and its rates. The shape's
modes are means and deviations of KITTI tracking's labels (see `_MODES`), widened for boxes of detectors.

Unobservable: few frames, truncated, half hidden or small boxes; speed also far away or while the box's range
is unknown.
Benign look-alikes: a fallen or sitting person (wide), a person with a pram, a lorry seen end-on in a car's
name, an object half hidden by what is no track, identity switches.
Blind to: patches optimised against it; classes of like shape and speed. Never alone: it asks for caution.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Modes of ln(width/height), mean and deviation: vehicles and riders end-on and side-on, people
# upright and striding, of whole, unhidden boxes above 25 px in KITTI tracking's labels (7,298 boxes of the
# even sequences). A bicycle without its rider, and signs, are geometry, not measured.
_MODES: dict[str, tuple[tuple[float, float], ...]] = {
    "vehicle": ((-0.10, 0.22), (0.15, 0.20), (0.75, 0.27)),
    "cycle": ((-0.60, 0.20), (-0.10, 0.20), (0.45, 0.20)),
    "person": ((-1.15, 0.17), (-0.93, 0.17), (-0.65, 0.17)),
    "sign": ((-0.90, 0.25), (-0.55, 0.25), (0.0, 0.20)),
}
_MEAN: F64 = np.array([[m for m, _ in _MODES[c.group]] for c in objects.CLASSES])
_SIGMA: F64 = np.array([[s for _, s in _MODES[c.group]] for c in objects.CLASSES])


class KinematicClassSettings(Settings):
    """Parameters of `kinematic_class`."""

    window_s: float = Field(
        1.0, gt=0, le=10, description="time that is averaged over, s; longer is surer, but later"
    )
    min_age_s: float = Field(0.5, gt=0, le=10, description="plain view that is needed first, s")
    min_height_px: float = Field(25.0, gt=1, description="box height below which its shape is rough, px")
    shape_noise: float = Field(0.10, ge=0, le=1, description="lasting noise of ln(width/height)")
    max_range_m: float = Field(40.0, gt=1, le=300, description="range beyond which speed is not judged, m")
    speed_noise: float = Field(
        1.0, gt=0, le=20, description="noise of a LiDAR object's velocity, m/s; larger is more tolerant"
    )
    box_noise: float = Field(0.05, gt=0, le=1, description="noise of place and size, share of height")
    own_speed_mps: float = Field(
        40.0, ge=0, le=100, description="speed granted to the vehicle where its motion is unknown, m/s"
    )
    own_turn_rad_s: float = Field(
        0.6, ge=0, le=5, description="turn rate granted to the vehicle where its motion is unknown, rad/s"
    )
    own_acceleration: float = Field(10.0, ge=0, le=50, description="acceleration granted to it, m/s²")


class KinematicClass:
    """See the module. Subjects are camera tracks."""

    name = "kinematic_class"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"class_flip"})

    def __init__(self, settings: KinematicClassSettings) -> None:
        self.settings = settings
        self._sigma = np.hypot(_SIGMA, settings.shape_noise)
        self.reset()

    def reset(self) -> None:
        self._shapes = np.zeros((CAPACITY, 11))
        self._velocities = np.zeros((CAPACITY, 7))
        self._known_s = np.zeros((2, CAPACITY))
        self._who = np.full((2, CAPACITY), -1, np.int64)
        self._grounded = False

    def score(self, scene: Scene) -> list[Scores]:
        t, regrounded = scene.tracks, False
        if scene.pairing is not None and scene.objects is not None and len(scene.objects):
            grounded = scene.camera_motion is not None
            regrounded, self._grounded = grounded != self._grounded, grounded
        surprise, shape, off, speed, fast, acceleration, hasty = loops.unlike_class(
            scene, self._shapes, self._velocities, self._known_s, self._who, self._grounded, regrounded,
            _MEAN, self._sigma, self.settings,
        )  # fmt: skip
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {
                    "width_by_height": shape,
                    "shape_sigma": off,
                    "speed_mps": speed,
                    "speed_sigma": fast,
                    "acceleration_mps2": acceleration,
                    "acceleration_sigma": hasty,
                },
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        worst = max(("shape", "speed", "acceleration"), key=lambda k: np.nan_to_num(measured[f"{k}_sigma"]))
        if worst == "shape":
            return f"{measured['width_by_height']:.2f} times as wide as high, unlike its class"
        if worst == "speed":
            return f"moves at {measured['speed_mps']:.0f} m/s, more than its class can"
        return f"changes speed by {measured['acceleration_mps2']:.0f} m/s², more than its class can"
