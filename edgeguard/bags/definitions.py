"""Message definitions: the standard ones of ROS 2, and those that `rosbags` does not ship.

`radar_msgs` has one layout in ROS 2.

`vision_msgs` was published with two layouts on the wire: up to 2.x (Foxy) a hypothesis lies bare in the
detection, which carries its source image or cloud; since 3.0 (Galactic) it is nested. 4.0 (Humble) only
renamed a box's centre. Bags in sqlite3 before Iron hold no definitions, so the layout must be guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache

from rosbags.interfaces.typing import Typesdict
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from edgeguard.bags.layouts import RADAR, STANDARD, VISION_SINCE_4, VISION_UP_TO_2


def typestore(*, old_vision_msgs: bool = False) -> Typestore:
    """Return the types to write with: ROS 2's, `radar_msgs`, and `vision_msgs` of 4.0 and later or of 2.x."""
    store = get_typestore(Stores.LATEST)
    store.register(_parsed(STANDARD | RADAR | (VISION_UP_TO_2 if old_vision_msgs else VISION_SINCE_4)))
    return store


def load_definitions() -> None:
    """Read the definitions that no recording needs to bring, so that the first one does not wait for it."""
    _known()


def published() -> Iterator[Typestore]:
    """Yield the types with `vision_msgs` as published: since 3.0, then up to 2.x."""
    yield _known()
    yield _known(old_vision_msgs=True)


def _parsed(layouts: Mapping[str, str]) -> Typesdict:
    types: Typesdict = {}
    for name, text in layouts.items():
        types.update(get_types_from_msg(text, name.replace("/", "/msg/")))
    return types


class Decoder:
    """Deserialises the messages of one topic.

    Standard types keep their wire layout over all ROS 2 releases, so one definition of each serves.
    `vision_msgs` are read by the definition that the bag embeds; without one, both layouts are tried, and
    the first that fits a message with content stays.

    Args:
        msgtype: as `sensor_msgs/msg/Image`.
        definition: the text embedded in the bag, `.msg` or IDL; empty where there is none.
    """

    def __init__(self, msgtype: str, definition: str) -> None:
        self.msgtype = msgtype
        is_vision = msgtype.startswith("vision_msgs/")
        self._stores = _layouts(msgtype, definition) if is_vision else [_holding(msgtype)]
        self._generate()

    def _generate(self) -> None:
        """Have the code generated that reads the types: once, and not with the first message."""
        for store in self._stores:
            if self.msgtype in store.fielddefs:
                store.get_msgdef(self.msgtype)

    @property
    def store(self) -> Typestore:
        """The types that the topic's messages are made of."""
        return self._stores[0]

    @property
    def is_certain(self) -> bool:
        """Whether `store` holds the types that the topic's messages are made of, and not a guess."""
        return len(self._stores) == 1

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


@lru_cache(maxsize=2)
def _known(*, old_vision_msgs: bool = False) -> Typestore:
    """The types that EdgeGuard reads and no other: all of ROS 2's would take longer than a short drive."""
    store = get_typestore(Stores.EMPTY)
    store.register(_standard())
    store.register(_parsed(VISION_UP_TO_2 if old_vision_msgs else VISION_SINCE_4))
    return _quick(store)


@lru_cache(maxsize=1)
def _standard() -> Typesdict:
    return _parsed(STANDARD | RADAR)


def _quick(store: Typestore) -> Typestore:
    """Let a store find its own types faster: its generated code asks for one with every part of a message."""
    store.get_msgdef = lru_cache(maxsize=None)(store.get_msgdef)  # type: ignore[method-assign]
    return store


@lru_cache(maxsize=1)
def _all() -> Typestore:
    return typestore()


def _holding(msgtype: str) -> Typestore:
    return _known() if msgtype in _known().fielddefs else _all()


def _layouts(msgtype: str, definition: str) -> list[Typestore]:
    """The types that `vision_msgs` data may be made of, likeliest first."""
    if definition:
        # A damaged definition is as good as none, and rosbags' parser raises whatever it meets.
        with suppress(Exception):
            return [_embedded(msgtype, definition)]
    return list(published())


@lru_cache(maxsize=16)
def _embedded(msgtype: str, definition: str) -> Typestore:
    """The types of an embedded definition, if their fields are named as in one of the published layouts."""
    is_idl = definition.startswith("=" * 80 + "\nIDL: ")
    types = get_types_from_idl(definition) if is_idl else get_types_from_msg(definition, msgtype)
    current = _known()
    if all(current.fielddefs.get(name, ((), ()))[1] == fields for name, (_, fields) in types.items()):
        return current
    store = get_typestore(Stores.EMPTY)
    store.register(_standard())
    store.register(types)
    for name in types:
        if _field_names(store, name) not in [_field_names(s, name) for s in published()]:
            raise ValueError(f"{name} is laid out as in no release")
    return store


def _field_names(store: Typestore, name: str) -> list[str]:
    return [field for field, _ in store.fielddefs[name][1]] if name in store.fielddefs else []
