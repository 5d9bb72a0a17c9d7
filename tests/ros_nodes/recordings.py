"""Recordings as a vehicle would publish them: raw images, and a detector's results beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeguard.bags import BagReader, BagWriter
from edgeguard.bags.encode_objects import to_detections_msg
from edgeguard.bags.encode_sensors import to_image_msg
from edgeguard.types import Channel, Image


def as_driven(bag: Path, out: Path, detector: Any, *, frozen_from: int | None = None) -> Path:
    """Write a recording with raw images and detections; its camera freezes at a frame where one is given."""
    frame, frozen = 0, None
    with BagReader(bag) as reader, BagWriter(out) as writer:
        camera = reader.topics[Channel.CAMERA]
        for raw in reader.raw_messages():
            if raw.connection.topic != camera:
                writer.copy(raw.connection, raw.log_ns, raw.data)
                continue
            image = reader.value(raw)
            if frame == frozen_from:
                frozen = image.bgr
            image = Image(image.stamp_ns, image.frame_id, image.bgr if frozen is None else frozen)
            frame += 1
            message = to_image_msg(writer.store, image)
            writer.write("/camera/image", "sensor_msgs/msg/Image", raw.log_ns, message)
            detections = to_detections_msg(writer.store, detector.detect(image), image.frame_id)
            topic, kind = "/camera/detections", "vision_msgs/msg/Detection2DArray"
            writer.write(topic, kind, raw.log_ns, detections)
    return out
