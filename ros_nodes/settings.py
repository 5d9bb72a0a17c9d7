"""What only the live nodes can be told. No ROS here, so that the parameter file can be rendered anywhere."""

from __future__ import annotations

from pydantic import Field

from edgeguard.config import Settings
from edgeguard.types import Channel


class ImageInput(Settings):
    """How the image comes."""

    transport: str = Field(
        "raw", pattern="^(raw|compressed)$", description="Type of input/image: raw or compressed (JPEG, PNG)."
    )


class MonitorInputs(ImageInput):
    """What the monitor is to wait for."""

    expected: tuple[Channel, ...] = Field(
        (Channel.CAMERA, Channel.DETECTIONS),
        description="Streams to wait for, and to miss, from the start; any other counts once it delivered.",
    )
    radar: str = Field(
        "points", pattern="^(points|tracks)$",
        description="Type of input/radar: points (PointCloud2 with a Doppler field) or tracks "
        "(radar_msgs/RadarTracks).",
    )  # fmt: skip
    rig: str = Field(
        "",
        description="Rig file with camera model and extrinsics, in place of input/camera_info and "
        "/tf_static; empty: none.",
    )
    detector: str = Field(
        "",
        description="Engine that makes input/detections, so that a calibration made with another is refused; "
        "empty: not known.",
    )


class MetricsSettings(Settings):
    """Figures for Prometheus."""

    port: int = Field(
        0, ge=0, le=65535,
        description="Port on 127.0.0.1 that Prometheus collects from; 0: none. Read on configure.",
    )  # fmt: skip


class DeadlineSettings(Settings):
    """How long a frame's judgement may take."""

    latency_budget_ms: float = Field(
        200.0, gt=0, le=10_000,
        description="ms; from an image's header stamp to the fail-safe message. Checks not begun in time are "
        "skipped and reported so. Not above the fail-safe's own latency_budget_ms.",
    )  # fmt: skip
    reserve_ms: float = Field(
        40.0, ge=0, le=10_000,
        description="ms of the budget kept for what follows: the running check, and the message's way.",
    )  # fmt: skip
