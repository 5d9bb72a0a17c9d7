"""Where a recorded live run can be taken up: what its monitor knew, as recorded with it."""

from __future__ import annotations

from typing import NamedTuple

from edgeguard import snapshot
from edgeguard.bags.reader import BagReader
from edgeguard.errors import BagError, EdgeGuardError
from edgeguard.monitor import Monitor

MSGTYPE = "std_msgs/msg/UInt8MultiArray"

SETTLED_NS = 1_000_000_000
"""Of a recording, before a snapshot is used: by then its messages find their frames as on the vehicle."""


class Taken(NamedTuple):
    """A snapshot, and the header stamp of the image that it was taken after."""

    stamp_ns: int
    data: bytes


def first_snapshot(reader: BagReader, monitor: Monitor) -> Taken | None:
    """Return the first snapshot that a monitor can go on from; None where there is none.

    Raises:
        EdgeGuardError: a message that should be a snapshot is none.
    """
    if not any(c.msgtype == MSGTYPE for c in reader.connections):
        return None
    begin_ns: int | None = None
    for raw in reader.raw_messages():
        begin_ns = raw.log_ns if begin_ns is None else begin_ns
        if raw.connection.msgtype != MSGTYPE or raw.log_ns - begin_ns < SETTLED_NS:
            continue
        try:
            data = bytes(reader.decode(raw).data)
        except BagError:
            if not reader.partial:
                raise
            continue
        if not data.startswith(snapshot.MAGIC):
            continue  # Somebody else's array of bytes.
        try:
            stamp_ns = snapshot.stamp_ns(data, monitor)
        except EdgeGuardError as e:
            raise EdgeGuardError(f"{reader.path}: {e}") from e
        if stamp_ns is not None:
            return Taken(stamp_ns, data)
    return None
