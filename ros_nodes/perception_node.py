"""Images in, detections out."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import Field
from rclpy.lifecycle import LifecyclePublisher
from rclpy.subscription import Subscription
from std_msgs.msg import Header

from edgeguard.config import Settings, flatten, updated
from edgeguard.engine import Engine, open_engine
from edgeguard.errors import EdgeGuardError
from edgeguard.types import Detections
from ros_nodes import qos
from ros_nodes.inputs import image_input, vision_msgs
from ros_nodes.managed import ManagedNode, descriptions
from ros_nodes.parameters import SettingsParameters, Values
from ros_nodes.run import run
from ros_nodes.settings import ImageInput
from ros_nodes.verdict_msg import to_time


class PerceptionNodeSettings(Settings):
    """What the perception node is told; all of it is read on configure."""

    engine: str = Field(
        "yolox_nano", min_length=1, description="Engine: a name under engines/, or a path to an engine.yaml."
    )
    inputs: ImageInput = ImageInput()


class PerceptionNode(ManagedNode):
    """Detects on every image, the newest first, and publishes also when there is nothing."""

    def __init__(self) -> None:
        super().__init__("perception_node")
        self._settings = PerceptionNodeSettings()
        self._build_only = self.flag("build_only", False)
        self._engine: Engine | None = None
        self._subscription: Subscription[Any] | None = None
        self._publisher: LifecyclePublisher[Any] | None = None
        SettingsParameters(
            self, accept=self._accept, apply=self._apply, describe=descriptions(self._settings)
        )

    def autostart(self) -> bool:
        """As any managed node; with `build_only`, have the engine ready on disk and leave."""
        if not self._build_only:
            return super().autostart()
        self.configure()
        self.cleanup()
        raise SystemExit(0)

    def configure(self) -> None:
        vision = vision_msgs()
        self._engine = open_engine(self._settings.engine)
        self._publisher = self.create_lifecycle_publisher(
            vision.Detection2DArray, "output/detections", qos.RESULT
        )

    def activate(self) -> None:
        kind, self._read = image_input(self._settings.inputs.transport)
        self._subscription = self.create_subscription(
            kind, "input/image", self._on_image, qos.NEWEST_IMAGE, raw=True
        )

    def deactivate(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def cleanup(self) -> None:
        if self._publisher is not None:
            self.destroy_lifecycle_publisher(self._publisher)
            self._publisher = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _accept(self, changes: Values) -> Values:
        settings = updated(self._settings, changes, self.get_name())
        self.refuse_while_active(settings != self._settings, "the engine and its input")
        return flatten(settings)

    def _apply(self, changes: Values) -> None:
        self._settings = updated(self._settings, changes, self.get_name())

    def _on_image(self, data: bytes) -> None:
        try:
            image = self._read(data)
            detections = self._engine.detect(image)
        except EdgeGuardError as e:
            self.get_logger().error(f"input/image: no detections: {e}", throttle_duration_sec=1.0)
        else:
            self._publisher.publish(detections_message(detections, image.frame_id))


def detections_message(detections: Detections, frame_id: str) -> Any:
    """Return a `vision_msgs/Detection2DArray` in the layout that is installed, stamped as its image."""
    vision = vision_msgs()
    header = Header(stamp=to_time(detections.stamp_ns), frame_id=frame_id)
    array = vision.Detection2DArray(header=header)
    boxes = detections.xyxy.astype(float)
    rows = zip(boxes.tolist(), detections.score.tolist(), detections.labels, strict=True)
    for (x0, y0, x1, y1), score, label in rows:
        found = vision.Detection2D(header=header)
        center = found.bbox.center
        position = getattr(center, "position", center)
        position.x, position.y = (x0 + x1) / 2, (y0 + y1) / 2
        found.bbox.size_x, found.bbox.size_y = x1 - x0, y1 - y0
        result = vision.ObjectHypothesisWithPose()
        # Before vision_msgs 4.0 the hypothesis was not a message of its own.
        hypothesis = getattr(result, "hypothesis", result)
        setattr(hypothesis, "class_id" if hasattr(hypothesis, "class_id") else "id", label)
        hypothesis.score = score
        found.results.append(result)
        array.detections.append(found)
    return array


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(PerceptionNode, autostart=PerceptionNode.autostart))


if __name__ == "__main__":
    main()
