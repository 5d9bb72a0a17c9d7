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
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.tracking.trend import TrendBank
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
        self._shape = TrendBank(CAPACITY, 4, self.settings.window_s)
        self._velocity = TrendBank(CAPACITY, 2, self.settings.window_s)
        self._known_s = np.zeros((CAPACITY, 2))
        self._partner = np.full(CAPACITY, -1, np.int64)
        self._grounded = False
        self._group = np.full(CAPACITY, -1, np.int64)

    def score(self, scene: Scene) -> list[Scores]:
        t, s = scene.tracks, self.settings
        clear = t.matched & ~scene.truncated & (scene.hidden < 0.15) & (scene.foot_hidden < 0.3)
        clear &= t.height >= s.min_height_px
        self._watch(scene, clear)
        known = self._known_s[t.slot, 0] >= s.min_age_s
        shape = self._shape.mean(t.slot)[:, 0]
        off = np.minimum.reduce(np.abs(shape[:, None] - _MEAN[t.label]) / self._sigma[t.label], axis=1)
        speed, speed_sigma = self._speed(scene)
        acceleration, acceleration_sigma = self._acceleration(scene)
        fast = np.maximum(speed - objects.MAX_SPEED[t.label], 0.0) / speed_sigma
        hasty = np.maximum(acceleration - objects.MAX_ACCELERATION[t.label], 0.0) / acceleration_sigma
        worst = np.fmax(off, np.fmax(fast, hasty))
        told = clear & known & scene.asserted
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, 0.5 * worst**2, np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "width_by_height": np.exp(shape),
                    "shape_sigma": off,
                    "speed_mps": speed,
                    "speed_sigma": fast,
                    "acceleration_mps2": acceleration,
                    "acceleration_sigma": hasty,
                },
            )
        ]

    def _watch(self, scene: Scene, clear: np.ndarray) -> None:
        """Add this frame to the windows."""
        t, slot = scene.tracks, scene.tracks.slot
        group = objects.GROUP[t.label]
        # A track that changes its class is another check's matter: what it is called now is judged afresh.
        fresh = t.is_new | (t.matched & (group != self._group[slot]))
        self._group[slot] = np.where(t.matched | t.is_new, group, self._group[slot])
        self._shape.advance(scene.dt_s)
        self._shape.clear(slot[fresh])
        self._known_s[slot, 0] = np.where(fresh, 0.0, self._known_s[slot, 0] + np.where(clear, scene.dt_s, 0))
        row = np.flatnonzero(clear)
        w, h = np.maximum(t.width[row], 1.0), np.maximum(t.height[row], 1.0)
        center = (t.xyxy[row, :2] + t.xyxy[row, 2:]) / 2
        self._shape.add(slot[row], np.array([np.log(w / h), *center.T, np.log(h)]).T)

        self._velocity.advance(scene.dt_s)
        pairing, seen = scene.pairing, scene.objects
        if pairing is None or seen is None or not len(seen):
            return
        k = pairing.object_of
        partner = np.where((k >= 0) & seen.matched[k], seen.id[k], -1)
        paired = (partner >= 0) & (seen.age_s[k] >= 0.5)
        own = scene.camera_motion
        # Velocities with and without the vehicle's own do not belong on one line.
        other = (self._partner[slot] != partner) | fresh | (self._grounded != (own is not None))
        self._partner[slot], self._grounded = partner, own is not None
        self._velocity.clear(slot[other])
        self._known_s[slot, 1] = np.where(
            other, 0.0, self._known_s[slot, 1] + np.where(paired, scene.dt_s, 0.0)
        )
        row = np.flatnonzero(paired)
        velocity = seen.velocity[k[row]]
        if own is not None:
            velocity = velocity + _carried(own, seen.center[k[row], 0], seen.center[k[row], 2])
        self._velocity.add(slot[row], velocity)

    def _speed(self, scene: Scene) -> tuple[F64, F64]:
        """Least speed over the ground that explains what is seen, and its standard deviation, m/s."""
        t, s, slot = scene.tracks, self.settings, scene.tracks.slot
        n = len(t)
        if scene.rig is None:
            return np.full(n, np.nan), np.ones(n)
        k = scene.rig.camera.k
        z = scene.size_range
        slope = self._shape.slope(slot)
        noise = self._shape.slope_sigma(slot, np.full((n, 1), s.box_noise))[:, 0]
        ahead = ((t.xyxy[:, 0] + t.xyxy[:, 2]) / 2 - k[0, 2]) / k[0, 0]
        # x = u·Z: sideways speed from the box's drift less what coming nearer alone would move it.
        across, along = z * (slope[:, 1] / k[0, 0] - ahead * slope[:, 3]), -z * slope[:, 3]
        sigma_across = noise * objects.HEIGHT[t.label] + np.abs(ahead) * z * noise
        sigma_along = noise * z
        own = scene.camera_motion
        if own is not None:
            across, along = np.column_stack([across, along]).T + _carried(own, ahead * z, z).T
        lidar = self._known_s[slot, 1] >= s.min_age_s
        measured = self._velocity.mean(slot)
        across, along = np.where(lidar, measured[:, 0], across), np.where(lidar, measured[:, 1], along)
        sigma_across = np.where(lidar, s.speed_noise, sigma_across + s.speed_noise)
        sigma_along = np.where(lidar, s.speed_noise, sigma_along + s.speed_noise)
        if own is None:
            across = np.maximum(np.abs(across) - s.own_turn_rad_s * z, 0.0)
            along = np.maximum(np.abs(along) - s.own_speed_mps, 0.0)
        speed = np.hypot(across, along)
        sigma = np.hypot(sigma_across * across, sigma_along * along) / np.maximum(speed, 1e-6)
        return np.where(z <= s.max_range_m, speed, np.nan), np.maximum(sigma, s.speed_noise)

    def _acceleration(self, scene: Scene) -> tuple[F64, F64]:
        """Least acceleration that explains LiDAR's velocities, and its standard deviation, m/s²."""
        t, s, slot = scene.tracks, self.settings, scene.tracks.slot
        x, z = self._velocity.slope(slot).T
        measured = np.sqrt(x * x + z * z)
        sigma = self._velocity.slope_sigma(slot, np.full((len(t), 1), 2.0 * s.speed_noise))[:, 0]
        known = self._known_s[slot, 1] >= s.min_age_s
        beyond = np.maximum(measured - (0.0 if self._grounded else s.own_acceleration), 0.0)
        return np.where(known, beyond, np.nan), sigma

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        worst = max(("shape", "speed", "acceleration"), key=lambda k: np.nan_to_num(measured[f"{k}_sigma"]))
        if worst == "shape":
            return f"{measured['width_by_height']:.2f} times as wide as high, unlike its class"
        if worst == "speed":
            return f"moves at {measured['speed_mps']:.0f} m/s, more than its class can"
        return f"changes speed by {measured['acceleration_mps2']:.0f} m/s², more than its class can"


def _carried(own: tuple[F64, F64], x: F64, z: F64) -> F64:
    """Return (N, 2) what the camera's own motion adds to velocities seen from it at x right, z ahead, m/s."""
    velocity, turn = own
    carried: F64 = np.column_stack([velocity[0] + turn[1] * z, velocity[2] - turn[1] * x])
    return carried
