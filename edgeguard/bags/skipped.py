"""What a recorded live run had no time for, by the verdicts that were recorded with it."""

from __future__ import annotations

import json

from edgeguard.bags.reader import BagReader
from edgeguard.errors import BagError, EdgeGuardError
from edgeguard.verdict import SCHEMA

MSGTYPE = "diagnostic_msgs/msg/DiagnosticArray"
SUMMARY = "edgeguard: verdict"

Skipped = dict[tuple[int, str], frozenset[str]]
"""Header stamp and optical frame of an image to the checks that were skipped on it."""


def skipped_checks(reader: BagReader) -> Skipped:
    """Return the checks that were skipped on each image; empty where no verdicts were recorded.

    Raises:
        EdgeGuardError: a recorded verdict cannot be read, or is of another version.
    """
    if not any(c.msgtype == MSGTYPE for c in reader.connections):
        return {}
    found: Skipped = {}
    for raw in reader.raw_messages():
        if raw.connection.msgtype != MSGTYPE:
            continue
        try:
            msg = reader.decode(raw)
        except BagError:
            if not reader.partial:
                raise
            continue
        if not msg.status or msg.status[0].name != SUMMARY:
            continue
        told = {v.key: v.value for v in msg.status[0].values}
        try:
            verdict, beside = json.loads(told["json"]), json.loads(told["coverage"])
            if verdict["schema"] != SCHEMA:
                raise ValueError(f"schema {verdict['schema']!r} is not {SCHEMA!r}")
            skipped = frozenset(name for name, n in beside["coverage"].items() if n["skipped"])
            key = int(verdict["stamp_ns"]), str(msg.header.frame_id)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            topic = raw.connection.topic
            raise EdgeGuardError(f"{reader.path}: a verdict on {topic} cannot be read: {e}") from e
        if skipped and verdict["has_image"]:
            found[key] = skipped
    return found
