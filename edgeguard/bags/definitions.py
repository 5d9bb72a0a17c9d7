"""Message definitions: the standard ones of `rosbags`, and `vision_msgs`, which it does not ship.

`vision_msgs` was published with two layouts on the wire: up to 2.x (Foxy) a hypothesis lies bare in the
detection, which carries its source image or cloud; since 3.0 (Galactic) it is nested. 4.0 (Humble) only
renamed a box's centre. Bags in sqlite3 before Iron hold no definitions, so the layout must be guessed.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

_SHARED = {
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
    "Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections\n",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
}
_SINCE_4 = _SHARED | {
    "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nstring id\n",
    "Detection3D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox3D bbox\nstring id\n",
    "ObjectHypothesis": "string class_id\nfloat64 score\n",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\n"
    "geometry_msgs/PoseWithCovariance pose\n",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta\n",
    "Point2D": "float64 x\nfloat64 y\n",
}
_UP_TO_2 = _SHARED | {
    "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nsensor_msgs/Image source_img\nbool is_tracking\nstring tracking_id\n",
    "Detection3D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox3D bbox\nsensor_msgs/PointCloud2 source_cloud\nbool is_tracking\n"
    "string tracking_id\n",
    "ObjectHypothesisWithPose": "string id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose\n",
    "BoundingBox2D": "geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
}


def typestore(*, old_vision_msgs: bool = False) -> Typestore:
    """Return the standard types of ROS 2 and `vision_msgs`, of 4.0 and later or of 2.x."""
    store = get_typestore(Stores.LATEST)
    types: Typesdict = {}
    for name, text in (_UP_TO_2 if old_vision_msgs else _SINCE_4).items():
        types.update(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    if "geometry_msgs/msg/Pose2D" not in store.fielddefs:  # dropped after Humble
        types.update(get_types_from_msg("float64 x\nfloat64 y\nfloat64 theta\n", "geometry_msgs/msg/Pose2D"))
    store.register(types)
    return store


class Decoder:
    """Deserialises the messages of one topic.

    Standard types keep their wire layout over all ROS 2 releases, so `rosbags`' own definitions serve. Any
    other type is read by the definition that the bag embeds; without one, `vision_msgs` is tried in both
    layouts and stays with the first that fits a message with content.

    Args:
        msgtype: as `sensor_msgs/msg/Image`.
        definition: the text embedded in the bag, `.msg` or IDL; empty where there is none.
    """

    def __init__(self, msgtype: str, definition: str) -> None:
        self.msgtype = msgtype
        is_vision = msgtype.startswith("vision_msgs/")
        self._stores = _layouts(msgtype, definition) if is_vision else [_standard()]

    @property
    def store(self) -> Typestore:
        """The types that the topic's messages are made of."""
        return self._stores[0]

    def decode(self, data: bytes | memoryview) -> object:
        """Return a message.

        Raises:
            SerdeError: the data is no such message, or ends before it does.
        """
        fits: list[tuple[object, Typestore]] = []
        problem: Exception | None = None
        for store in self._stores:
            try:
                fits.append((store.deserialize_cdr(data, self.msgtype), store))
            except Exception as e:  # rosbags raises what its generated code meets on damaged bytes
                problem = e
        if not fits:
            raise SerdeError(str(problem) or type(problem).__name__)
        if len(fits) == 1 and len(self._stores) > 1:
            self._stores = [fits[0][1]]
        return fits[0][0]


@lru_cache(maxsize=1)
def _standard() -> Typestore:
    return typestore()


@lru_cache(maxsize=1)
def _old_vision_msgs() -> Typestore:
    return typestore(old_vision_msgs=True)


def _layouts(msgtype: str, definition: str) -> list[Typestore]:
    """The types that `vision_msgs` data may be made of, likeliest first."""
    if definition:
        # A damaged definition is as good as none, and rosbags' parser raises whatever it meets.
        with suppress(Exception):
            return [_embedded(msgtype, definition)]
    return [_standard(), _old_vision_msgs()]


@lru_cache(maxsize=16)
def _embedded(msgtype: str, definition: str) -> Typestore:
    """The types of an embedded definition, if their fields are named as in one of the published layouts."""
    is_idl = definition.startswith("=" * 80 + "\nIDL: ")
    types = get_types_from_idl(definition) if is_idl else get_types_from_msg(definition, msgtype)
    current = _standard()
    if all(current.fielddefs.get(name, ((), ()))[1] == fields for name, (_, fields) in types.items()):
        return current
    store = get_typestore(Stores.LATEST)
    store.register(types)
    for name in types:
        published = [_field_names(s, name) for s in (_standard(), _old_vision_msgs())]
        if _field_names(store, name) not in published:
            raise ValueError(f"{name} is laid out as in no release")
    return store


def _field_names(store: Typestore, name: str) -> list[str]:
    return [field for field, _ in store.fielddefs[name][1]] if name in store.fielddefs else []
