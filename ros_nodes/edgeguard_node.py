"""Perception and monitor in one process, for small boards: the image crosses one callback and no wire."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any

from pydantic import Field
from rclpy.lifecycle import LifecyclePublisher

from edgeguard.config import updated
from edgeguard.engine import Engine, open_engine
from edgeguard.errors import EdgeGuardError
from edgeguard.types import Channel, Detections, Image
from ros_nodes import qos
from ros_nodes.inputs import vision_msgs
from ros_nodes.monitor_node import MonitorNode, MonitorNodeSettings, spin
from ros_nodes.parameters import Values
from ros_nodes.perception_node import detections_message
from ros_nodes.precedence import keep_heap, run_preferred
from ros_nodes.run import run


class EdgeGuardNodeSettings(MonitorNodeSettings):
    """The monitor's parameters and the engine's."""

    engine: str = Field(
        "yolox_nano", min_length=1, description="Engine: a name under engines/, or a path to an engine.yaml."
    )


class Detecting(threading.Thread):
    """Runs the engine beside the node, on the newest image only: an old one is worth nothing.

    Args:
        engine: used by this thread alone.
        on_result: called in this thread with each image and its detections, or with the error that ended it.
    """

    def __init__(self, engine: Engine, on_result: Any) -> None:
        super().__init__(name="engine", daemon=True)
        self._engine = engine
        self._on_result = on_result
        self._changed = threading.Condition()
        self._next: Image | None = None
        self._ends = False

    def offer(self, image: Image) -> None:
        """Have an image looked at, unless a newer one comes first."""
        with self._changed:
            self._next = image
            self._changed.notify()

    def stop(self) -> None:
        """End after the image at hand."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self.join()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ends or self._next is not None)
                image, self._next = self._next, None
            if self._ends or image is None:
                return
            try:
                result: Detections | Exception = self._engine.detect(image)
            except Exception as e:
                result = e
            self._on_result(image, result)


class EdgeGuardNode(MonitorNode):
    """A monitor that makes its detections itself."""

    own_channels = frozenset({Channel.DETECTIONS})

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._detecting: Detecting | None = None
        self._results: deque[tuple[Image, Detections | Exception]] = deque(maxlen=4)
        self._found: LifecyclePublisher[Any] | None = None
        super().__init__("edgeguard_node", EdgeGuardNodeSettings())
        self._arrived = self.create_guard_condition(self._take_results)

    def configure(self) -> None:
        self._engine = open_engine(self._settings.engine)
        kind = vision_msgs().Detection2DArray
        self._found = self.create_lifecycle_publisher(kind, "output/detections", qos.RESULT)
        super().configure()

    def activate(self) -> None:
        self._detecting = Detecting(self._engine, self._hand_over)
        self._detecting.start()
        super().activate()

    def deactivate(self) -> None:
        super().deactivate()
        if self._detecting is not None:
            self._detecting.stop()
            self._detecting = None
        self._results.clear()

    def cleanup(self) -> None:
        super().cleanup()
        if self._found is not None:
            self.destroy_lifecycle_publisher(self._found)
            self._found = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @property
    def _detector(self) -> str:
        return self._engine.name if self._engine is not None else self._settings.engine

    def _accept(self, changes: Values) -> Values:
        settings = updated(self._settings, changes, self.get_name())
        self.refuse_while_active(settings.engine != self._settings.engine, "the engine")
        return super()._accept(changes)

    def _take(self, channel: Channel | None, value: Any) -> None:
        if channel is Channel.CAMERA:
            self._detecting.offer(value)
        super()._take(channel, value)

    def _hand_over(self, image: Image, result: Detections | Exception) -> None:
        self._results.append((image, result))
        self._arrived.trigger()

    def _take_results(self) -> None:
        while self._results and self.active:
            image, result = self._results.popleft()
            if isinstance(result, EdgeGuardError):
                # The monitor names what is missing: detections that do not come.
                self.get_logger().error(f"no detections: {result}", throttle_duration_sec=1.0)
            elif isinstance(result, Exception):
                raise result
            else:
                self._take(Channel.DETECTIONS, result)
                if self._found.get_subscription_count():
                    self._found.publish(detections_message(result, image.frame_id))


def main() -> None:
    """Run the node until it is interrupted."""
    run_preferred()
    keep_heap()
    sys.exit(run(EdgeGuardNode, autostart=EdgeGuardNode.autostart, spin=spin))


if __name__ == "__main__":
    main()
