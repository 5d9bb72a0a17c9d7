"""A rig as a file: the camera's model and where the sensors sit, for where no topic tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from edgeguard.config import Settings, read_yaml, validate
from edgeguard.rig import CameraModel, pose_matrix
from edgeguard.types import F64

_Vector = tuple[float, float, float]
_Positive = Annotated[float, Field(gt=0)]


class CameraSection(Settings):
    """What `sensor_msgs/CameraInfo` would say."""

    frame_id: str = Field(min_length=1, description="optical frame (x right, y down, z forward)")
    width: int = Field(gt=0, description="pixels")
    height: int = Field(gt=0, description="pixels")
    fx: _Positive
    fy: _Positive
    cx: float
    cy: float
    distortion_model: Literal["plumb_bob", "rational_polynomial", "equidistant"] = "plumb_bob"
    distortion: tuple[float, ...] = Field(
        (), description="coefficients in the model's own order; none: empty"
    )

    @model_validator(mode="after")
    def _as_many_as_the_model_has(self) -> CameraSection:
        lengths = {"plumb_bob": (0, 4, 5), "rational_polynomial": (0, 8, 12, 14), "equidistant": (0, 4)}
        fitting = lengths[self.distortion_model]
        if len(self.distortion) not in fitting:
            raise ValueError(f"{self.distortion_model} has {' or '.join(map(str, fitting))} coefficients")
        return self


class TransformSection(Settings):
    """What one entry of `/tf_static` would say: the pose of `child` in `parent`."""

    parent: str = Field(min_length=1)
    child: str = Field(min_length=1)
    xyz: _Vector = Field(description="metres")
    quaternion: tuple[float, float, float, float] = Field(description="x, y, z, w")

    @model_validator(mode="after")
    def _is_a_rotation(self) -> TransformSection:
        if not any(self.quaternion):
            raise ValueError("a quaternion of zeros is no rotation")
        return self


class RigSection(Settings):
    """A whole rig file."""

    camera: CameraSection
    transforms: tuple[TransformSection, ...] = ()


class LoadedRig(NamedTuple):
    """The camera, and the transforms as parent, child and the (4, 4) pose of the child in the parent."""

    camera: CameraModel
    transforms: list[tuple[str, str, F64]]


def load_rig(path: Path) -> LoadedRig:
    """Read a rig file.

    Raises:
        ParameterError: names every wrong key with its value and bound.
    """
    document: Any = read_yaml(path)
    if not isinstance(document, dict):
        document = {}
    rig = validate(RigSection, document, path)
    c = rig.camera
    k = np.array([[c.fx, 0.0, c.cx], [0.0, c.fy, c.cy], [0.0, 0.0, 1.0]])
    model = CameraModel(
        c.frame_id, c.width, c.height, k, c.distortion_model, np.array(c.distortion, np.float64)
    )
    return LoadedRig(model, [(t.parent, t.child, pose_matrix(t.xyz, t.quaternion)) for t in rig.transforms])
