"""The fail-safe as an obstacle: an observation source of Nav2's collision monitor."""

from __future__ import annotations

import struct
import sys

from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField

from edgeguard.errors import ParameterError
from ros_nodes import qos
from ros_nodes.adapters.watch import FailSafeWatch
from ros_nodes.lean_spin import lean_spin
from ros_nodes.run import run

PERIOD_S = 0.05
_POINT = struct.Struct("<fff")


class Nav2Node(Node):
    """Publishes an empty cloud while all is well, and one inside the stop polygon while it is not."""

    def __init__(self) -> None:
        super().__init__("nav2_node")
        frame_id = str(self.declare_parameter("frame_id", "base_link").value)
        position = self.declare_parameter("position_m", [0.3, 0.0, 0.3]).value
        count = int(self.declare_parameter("points", 10).value)
        if len(position) != 3 or count < 1:
            problem = f"position_m = {list(position)}, points = {count}: expected x, y, z and at least 1"
            raise ParameterError(self.get_name(), [problem])
        self._empty = _cloud(frame_id, b"")
        self._obstacle = _cloud(frame_id, _POINT.pack(*position) * count)
        self._publisher = self.create_publisher(PointCloud2, "output/points", qos.RESULT)
        self._watch = FailSafeWatch(self, lambda _: self.tell())

    def tick(self) -> None:
        """Look for silence, and repeat; call every `PERIOD_S`."""
        self._watch.tick()
        self.tell()

    def tell(self) -> None:
        """Publish what the collision monitor is to see now."""
        cloud = self._obstacle if self._watch.stop else self._empty
        cloud.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(cloud)


def _cloud(frame_id: str, points: bytes) -> PointCloud2:
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate("xyz")
    ]
    count = len(points) // _POINT.size
    cloud = PointCloud2(
        height=1,
        width=count,
        fields=fields,
        point_step=_POINT.size,
        row_step=len(points),
        is_dense=True,
    )
    cloud.header.frame_id = frame_id
    cloud.data.frombytes(points)
    return cloud


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(Nav2Node, spin=lambda node: lean_spin(node, node.tick, PERIOD_S)))


if __name__ == "__main__":
    main()
