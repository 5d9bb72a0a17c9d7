"""A topic of a recording."""

from __future__ import annotations

from dataclasses import dataclass

from rosbags.interfaces import Qos


@dataclass(frozen=True, slots=True)
class Connection:
    """A topic of a recording.

    Attributes:
        topic: its name.
        msgtype: as `sensor_msgs/msg/Image`.
        definition: the message definition embedded in the bag; empty where there is none.
        digest: the type's RIHS01 hash; empty where the bag has none.
        count: how many messages it has.
        encoding: serialisation, `cdr`.
        qos: the profiles it was offered with.
    """

    topic: str
    msgtype: str
    definition: str
    digest: str
    count: int
    encoding: str = "cdr"
    qos: tuple[Qos, ...] = ()
