"""Detections read where they lie say what rosbags' message objects say, of any layout, and are as strict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import recordings as rec
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from edgeguard import messages
from edgeguard.bags import boxes
from edgeguard.bags.boxes import BoxDecoder
from edgeguard.bags.definitions import Decoder
from edgeguard.errors import MessageError
from edgeguard.types import Detections, Detections3D

STORES = {"since 3": rec.STORE, "up to 2": rec.OLD_STORE}
KINDS = {rec.BOXES: messages.detections, rec.BOXES_3D: messages.detections_3d}
DEFINITION = {(s, k): STORES[s].generate_msgdef(k, ros_version=2)[0] for s in STORES for k in KINDS}

numbers = st.floats(-1e4, 1e4)
sizes = st.floats(0, 1e3)
words = st.text("aB é∀😀", max_size=9)


def _make(store: Typestore, name: str, /, **fields: Any) -> Any:
    """A message; what is not given is empty."""
    full = next(p for p in (f"vision_msgs/msg/{name}", f"geometry_msgs/msg/{name}", name) if p in store.types)
    for field, (kind, what) in store.fielddefs[full][1]:
        if field not in fields:
            fields[field] = _empty(store, int(kind), what)
    return store.types[full](**fields)


def _empty(store: Typestore, kind: int, what: Any) -> Any:
    if kind == 1:
        return {"string": "", "bool": False}.get(what[0], 0)
    if kind == 2:
        return _make(store, what)
    (inner, of), length = what
    return [] if inner == 2 else np.zeros(length if kind == 3 else 0, of[0])


@st.composite
def recorded(draw: st.DrawFn, store: Typestore, kind: str) -> Any:
    """A message of detections with any number of hypotheses, sources and names."""

    def header() -> Any:
        stamp = _make(
            store,
            "builtin_interfaces/msg/Time",
            sec=draw(st.integers(-9, 9)),
            nanosec=draw(st.integers(0, 9)),
        )
        return _make(store, "std_msgs/msg/Header", stamp=stamp, frame_id=draw(words))

    def hypothesis() -> Any:
        label, score = draw(words), draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
        if "hypothesis" not in {f for f, _ in store.fielddefs["vision_msgs/msg/ObjectHypothesisWithPose"][1]}:
            return _make(store, "ObjectHypothesisWithPose", id=label, score=score)
        named = _make(store, "ObjectHypothesis", class_id=label, score=score)
        return _make(store, "ObjectHypothesisWithPose", hypothesis=named)

    def xyz(of: st.SearchStrategy[float]) -> dict[str, float]:
        return {axis: draw(of) for axis in "xyz"}

    def box() -> Any:
        if kind == rec.BOXES_3D:
            pose = _make(
                store, "Pose", position=_make(store, "Point", **xyz(numbers)),
                orientation=_make(store, "Quaternion", **xyz(numbers), w=draw(numbers)),
            )  # fmt: skip
            return _make(store, "BoundingBox3D", center=pose, size=_make(store, "Vector3", **xyz(sizes)))
        x, y, theta = draw(numbers), draw(numbers), draw(st.sampled_from([0.0, 0.3]))
        if "vision_msgs/msg/Point2D" in store.types:
            center = _make(store, "Pose2D", position=_make(store, "Point2D", x=x, y=y), theta=theta)
        else:
            center = _make(store, "Pose2D", x=x, y=y, theta=theta)
        return _make(store, "BoundingBox2D", center=center, size_x=draw(sizes), size_y=draw(sizes))

    def detection() -> Any:
        one = "Detection2D" if kind == rec.BOXES else "Detection3D"
        has = {f for f, _ in store.fielddefs[f"vision_msgs/msg/{one}"][1]}
        rest: dict[str, Any] = {name: draw(words) for name in ("id", "tracking_id") if name in has}
        pixels = np.frombuffer(draw(st.binary(max_size=9)), np.uint8)
        if "source_img" in has:
            rest["source_img"] = _make(
                store, "sensor_msgs/msg/Image", header=header(), encoding=draw(words), data=pixels
            )
        if "source_cloud" in has:
            fields = [
                _make(store, "sensor_msgs/msg/PointField", name=n) for n in draw(st.lists(words, max_size=2))
            ]
            rest["source_cloud"] = _make(
                store, "sensor_msgs/msg/PointCloud2", header=header(), fields=fields, data=pixels
            )
        results = [hypothesis() for _ in range(draw(st.integers(0, 2)))]
        return _make(store, one, header=header(), results=results, bbox=box(), **rest)

    found = [detection() for _ in range(draw(st.integers(0, 3)))]
    return _make(store, kind, header=header(), detections=found)


def same(a: Detections | Detections3D, b: Detections | Detections3D) -> bool:
    """Whether two are equal to the bit, and to the dtype."""
    names = type(a).__dataclass_fields__
    return type(a) is type(b) and all(
        np.array_equal(x, y) and (not isinstance(x, np.ndarray) or x.dtype == y.dtype)
        for x, y in ((getattr(a, n), getattr(b, n)) for n in names)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", STORES)
@settings(max_examples=60)
@given(st.data(), st.booleans())
def test_what_lies_there_is_what_rosbags_reads(layout: str, kind: str, draw: Any, little: bool) -> None:
    store = STORES[layout]
    decoder, slow = BoxDecoder(kind, DEFINITION[layout, kind]), Decoder(kind, DEFINITION[layout, kind])
    known: tuple[str, ...] = ()
    for _ in range(2):
        msg = draw.draw(recorded(store, kind))
        data = bytes(store.serialize_cdr(msg, kind, little_endian=little))
        expected = KINDS[kind](slow.decode(data), known)
        assert decoder._where_it_lies(data) is not None
        assert same(decoder.read(data), expected)
        known = expected.class_names


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", STORES)
@settings(max_examples=60)
@given(st.data())
def test_damage_is_refused_in_the_words_of_rosbags(layout: str, kind: str, draw: Any) -> None:
    store = STORES[layout]
    data = bytes(store.serialize_cdr(draw.draw(recorded(store, kind)), kind))
    at, byte = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(0, 255))
    length = draw.draw(st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0"]))
    for damaged in (
        data[:at] + bytes([byte]) + data[at + 1 :], data[:at], data + b"\0" * (at % 6),
        data[: at & -4] + length + data[(at & -4) + 4 :],
    ):  # fmt: skip
        outcomes: list[Any] = []
        decoder, slow = BoxDecoder(kind, DEFINITION[layout, kind]), Decoder(kind, DEFINITION[layout, kind])
        for read in (decoder.read, lambda d, slow=slow: KINDS[kind](slow.decode(d))):
            try:
                outcomes.append(read(damaged))
            except (SerdeError, MessageError) as e:
                outcomes.append(f"{type(e)}: {e}")
        fast, asked = outcomes
        assert fast == asked if isinstance(asked, str) else same(fast, asked)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", STORES)
def test_a_layout_that_had_to_be_guessed_is_read_where_it_lies_from_then_on(
    layout: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, decoder = STORES[layout], BoxDecoder(kind, "")
    make = rec.to_detections_msg if kind == rec.BOXES else rec.to_detections_3d_msg
    boxes_of = rec.boxes if kind == rec.BOXES else rec.boxes_3d
    args = (boxes_of(0), "camera") if kind == rec.BOXES else (boxes_of(0),)
    data = bytes(store.serialize_cdr(make(store, *args), kind))
    first = decoder.read(data)
    monkeypatch.setattr(decoder, "decode", lambda _: pytest.fail("rosbags was asked again"))
    assert same(decoder.read(data), first)


def test_a_layout_of_no_release_is_read_by_its_definition() -> None:
    definition = DEFINITION["since 3", rec.BOXES].replace("float64 score", "float32 score")
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, rec.BOXES))
    box = _make(store, "BoundingBox2D", size_x=2.0, size_y=2.0)
    named = _make(store, "ObjectHypothesis", class_id="car", score=0.5)
    result = _make(store, "ObjectHypothesisWithPose", hypothesis=named)
    msg = _make(store, rec.BOXES, detections=[_make(store, "Detection2D", results=[result], bbox=box)])
    data = bytes(store.serialize_cdr(msg, rec.BOXES))
    found = BoxDecoder(rec.BOXES, definition).read(data)
    assert found.labels == ["car"] and found.score.tolist() == [0.5]  # type: ignore[union-attr]
    assert boxes._behind_box(store, rec.BOXES) is None


def test_a_refused_message_adds_no_class() -> None:
    store, decoder = rec.STORE, BoxDecoder(rec.BOXES, DEFINITION["since 3", rec.BOXES])
    broken = rec.to_detections_msg(store, rec.boxes(0), "camera")
    broken.detections[0].bbox.size_x = -1.0
    broken.detections[0].results[0].hypothesis.class_id = "ghost"
    with pytest.raises(MessageError, match="negative"):
        decoder.read(bytes(store.serialize_cdr(broken, rec.BOXES)))
    whole = decoder.read(
        bytes(store.serialize_cdr(rec.to_detections_msg(store, rec.boxes(0), "c"), rec.BOXES))
    )
    assert whole.class_names == ("car", "person")


def test_the_centre_of_version_3_lies_as_since_4() -> None:
    definition = DEFINITION["since 3", rec.BOXES].replace(
        "vision_msgs/Pose2D center", "geometry_msgs/Pose2D center"
    )
    definition = definition.partition("MSG: vision_msgs/Pose2D\n")[0]
    definition += "MSG: geometry_msgs/Pose2D\nfloat64 x\nfloat64 y\nfloat64 theta\n"
    decoder = BoxDecoder(rec.BOXES, definition)
    data = rec.STORE.serialize_cdr(rec.to_detections_msg(rec.STORE, rec.boxes(0), "camera"), rec.BOXES)
    assert decoder._where_it_lies(bytes(data)) is not None
