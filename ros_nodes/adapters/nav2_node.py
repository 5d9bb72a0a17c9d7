"""The fail-safe as an obstacle: an observation source of Nav2's collision monitor."""

from __future__ import annotations

import struct
import sys
from typing import Annotated

from pydantic import Field
from sensor_msgs.msg import PointCloud2, PointField

from edgeguard.config import Settings
from ros_nodes import qos
from ros_nodes.adapters.adapter import Adapter
from ros_nodes.lean_spin import lean_spin
from ros_nodes.parameters import Values
from ros_nodes.run import run

PERIOD_S = 0.05
_POINT = struct.Struct("<fff")
_Metres = Annotated[float, Field(ge=-100, le=100)]


class Nav2Settings(Settings):
    """The obstacle that stands for a stop."""

    frame_id: str = Field("base_link", min_length=1, description="frame of the obstacle")
    position_m: tuple[_Metres, _Metres, _Metres] = Field(
        (0.3, 0.0, 0.3), description="x, y, z of it, m: inside the stop polygon, and of a height that counts"
    )
    points: int = Field(10, ge=1, le=1000, description="its points: at least the polygon's min_points")


class Nav2Node(Adapter[Nav2Settings]):
    """Publishes an empty cloud while all is well, and one inside the stop polygon while it is not."""

    def __init__(self) -> None:
        super().__init__("nav2_node", Nav2Settings())
        self._publisher = self.create_publisher(PointCloud2, "output/points", qos.RESULT)
        self.watch(self._publisher)

    def tick(self) -> None:
        """Look for silence, and repeat; call every `PERIOD_S`."""
        super().tick()
        self.obey()

    def obey(self) -> None:
        """Publish what the collision monitor is to see now."""
        cloud = self._obstacle if self.stop else self._empty
        cloud.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(cloud)

    def _apply(self, changes: Values) -> None:
        super()._apply(changes)
        settings = self.settings
        self._empty = _cloud(settings.frame_id, b"")
        self._obstacle = _cloud(settings.frame_id, _POINT.pack(*settings.position_m) * settings.points)


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
