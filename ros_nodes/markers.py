"""What a frame holds, for RViz and Foxglove: LiDAR objects, camera tracks with a range, and the alarms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from edgeguard.scene import Scene
from edgeguard.types import F64
from edgeguard.verdict import Alarm, Level, SubjectKind, Verdict
from ros_nodes.verdict_msg import to_time

LIFETIME = Duration(sec=1)
TRACK_SIZE_M = 0.6
TEXT_HEIGHT_M = 0.5

_COLOUR = {
    Level.NOMINAL: ColorRGBA(r=0.3, g=0.8, b=0.4, a=0.5),
    Level.CAUTION: ColorRGBA(r=1.0, g=0.7, b=0.0, a=0.8),
    Level.FAIL_SAFE: ColorRGBA(r=0.9, g=0.1, b=0.1, a=0.9),
}


def to_markers(scene: Scene, verdict: Verdict, frame_id: str) -> MarkerArray:
    """Build the markers of a frame, in the camera's optical frame; the first deletes the last frame's."""
    array = MarkerArray(markers=[Marker(action=Marker.DELETEALL)])
    array.markers[0].header.frame_id = frame_id
    alarms = {(a.subject.kind, a.subject.id): a for a in reversed(verdict.alarms)}
    for marker in (*_tracks(scene, alarms), *_objects(scene, alarms)):
        marker.header.stamp, marker.header.frame_id = to_time(verdict.stamp_ns), frame_id
        marker.lifetime = LIFETIME
        array.markers.append(marker)
    return array


_Alarms = dict[tuple[SubjectKind, "int | str"], Alarm]


def _tracks(scene: Scene, alarms: _Alarms) -> Iterator[Marker]:
    tracks = scene.tracks
    range_m = scene.range
    across = scene.lateral_m(tracks.xyxy, range_m)
    size = np.full(3, TRACK_SIZE_M)
    for i in np.flatnonzero(np.isfinite(range_m) & np.isfinite(across)):
        center = np.array([across[i], 0.0, range_m[i]])
        alarm = alarms.get((SubjectKind.TRACK, int(tracks.id[i])))
        yield from _subject("tracks", Marker.SPHERE, int(tracks.id[i]), center, size, alarm)


def _objects(scene: Scene, alarms: _Alarms) -> Iterator[Marker]:
    objects = scene.objects
    if objects is None:
        return
    for i, number in enumerate(objects.id.tolist()):
        alarm = alarms.get((SubjectKind.LIDAR_OBJECT, number))
        yield from _subject("lidar_objects", Marker.CUBE, number, objects.center[i], objects.size[i], alarm)


def _subject(
    namespace: str, shape: int, number: int, center: F64, size: F64, alarm: Alarm | None
) -> Iterator[Marker]:
    colour = _COLOUR[alarm.level if alarm is not None else Level.NOMINAL]
    # Identities outgrow a marker's 32 bits on a drive of weeks; those of one frame differ in the low bits.
    body = Marker(ns=namespace, id=number & 0x7FFFFFFF, type=shape, color=colour)
    body.pose.position = Point(x=float(center[0]), y=float(center[1]), z=float(center[2]))
    body.scale = Vector3(x=max(float(size[0]), 0.1), y=max(float(size[1]), 0.1), z=max(float(size[2]), 0.1))
    yield body
    if alarm is None:
        return
    text = f"{alarm.check}: {alarm.reason}"
    label = Marker(ns=f"{namespace}/why", id=body.id, type=Marker.TEXT_VIEW_FACING, color=colour, text=text)
    label.pose.position = Point(x=body.pose.position.x, y=body.pose.position.y - 1.5, z=body.pose.position.z)
    label.scale.z = TEXT_HEIGHT_M
    yield label
