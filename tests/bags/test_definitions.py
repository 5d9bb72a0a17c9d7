"""The layout of `vision_msgs` comes from the bag, or is told by what fits."""

from __future__ import annotations

import pytest
import recordings as rec
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from edgeguard import messages
from edgeguard.bags.definitions import Decoder
from edgeguard.bags.layouts import STANDARD

DATA = {
    store: bytes(store.serialize_cdr(rec.to_detections_msg(store, rec.boxes(0), "camera"), rec.BOXES))
    for store in (rec.STORE, rec.OLD_STORE)
}
DEFINITION = {store: store.generate_msgdef(rec.BOXES, ros_version=2)[0] for store in DATA}
STORES = pytest.mark.parametrize("store", DATA, ids=["since 4", "before 4"])


@STORES
def test_an_embedded_definition_is_followed(store: rec.Any) -> None:
    decoder = Decoder(rec.BOXES, DEFINITION[store])
    assert messages.detections(decoder.decode(DATA[store])).labels == ["car", "person"]


def test_version_3_had_the_new_hypothesis_and_the_old_centre() -> None:
    definition = DEFINITION[rec.STORE].replace("vision_msgs/Pose2D center", "geometry_msgs/Pose2D center")
    head, _, tail = definition.partition("MSG: vision_msgs/Pose2D\n")
    definition = f"{head}MSG: geometry_msgs/Pose2D\nfloat64 x\nfloat64 y\nfloat64 theta\n"
    assert "Point2D" in tail
    msg = Decoder(rec.BOXES, definition).decode(DATA[rec.STORE])
    assert not hasattr(msg.detections[0].bbox.center, "position")  # type: ignore[attr-defined]
    assert messages.detections(msg).xyxy.tolist() == rec.boxes(0).xyxy.tolist()


@STORES
@pytest.mark.parametrize(
    "damage", [("detections", "detection\0"), ("results", "resolts"), ("string", "strin")]
)
def test_a_damaged_definition_is_as_good_as_none(store: rec.Any, damage: tuple[str, str]) -> None:
    decoder = Decoder(rec.BOXES, DEFINITION[store].replace(*damage))
    assert len(messages.detections(decoder.decode(DATA[store]))) == 2


@STORES
def test_without_definition_an_empty_message_decides_nothing(store: rec.Any) -> None:
    empty = bytes(store.serialize_cdr(rec.to_detections_msg(store, rec.boxes(0, 0), "camera"), rec.BOXES))
    decoder = Decoder(rec.BOXES, "")
    for data, n in ((empty, 0), (DATA[store], 2), (empty, 0)):
        assert len(messages.detections(decoder.decode(data))) == n
    with pytest.raises(SerdeError):
        decoder.decode(DATA[store][:-9])


def test_the_layouts_are_those_of_ros_2() -> None:
    published = get_typestore(Stores.ROS2_HUMBLE).fielddefs
    read = Decoder("sensor_msgs/msg/Image", "").store.fielddefs
    for name in STANDARD:
        full = name.replace("/", "/msg/")
        assert read[full] == published[full], full


def test_a_type_that_feeds_no_channel_is_read_too() -> None:
    note = rec.STORE.types["std_msgs/msg/String"](data="what was done")
    data = bytes(rec.STORE.serialize_cdr(note, "std_msgs/msg/String"))
    assert Decoder("std_msgs/msg/String", "").decode(data) == note
