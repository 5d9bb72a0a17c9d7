"""Writes a rosbag2 recording: an MCAP folder that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection as RosbagsConnection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.typesys.store import Typestore

from edgeguard.bags.connection import Connection
from edgeguard.bags.definitions import typestore
from edgeguard.errors import BagError


class BagWriter:
    """Writes messages to a new rosbag2 folder (MCAP, zstd chunks); the same messages give the same bytes.

    A context manager: the folder appears under its name when the block ends well, and not otherwise.

    Args:
        path: the folder to make.

    Raises:
        BagError: it exists, or cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connections: dict[tuple[str, str], RosbagsConnection] = {}
        self._store: Typestore | None = None
        self._refuse_existing()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        except OSError as e:
            raise BagError(self.path, f"cannot be written: {e.strerror}", "Write elsewhere") from e
        # The storage file takes its name from the folder's: the folder's own name must be the final one.
        self._writer = Writer(
            self._folder / self.path.name, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP
        )
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
            else:
                self._writer.abort()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def store(self) -> Typestore:
        """The types that new messages are built of: the standard ones and `vision_msgs` 4."""
        if self._store is None:
            self._store = typestore()
        return self._store

    def add(self, connection: Connection) -> None:
        """Announce a topic of another recording, so that it is there even without messages."""
        self._connection(connection)

    def copy(self, connection: Connection, log_ns: int, data: bytes | memoryview) -> None:
        """Write a message of another recording as it is."""
        self._writer.write(self._connection(connection), log_ns, data)

    def write(
        self, topic: str, msgtype: str, log_ns: int, message: Any, *, store: Typestore | None = None
    ) -> None:
        """Write a message object.

        Args:
            topic: its topic.
            msgtype: as `std_msgs/msg/String`.
            log_ns: log time.
            message: an object of `store`'s types.
            store: the types that it is made of; by default `BagWriter.store`.
        """
        store = store or self.store
        key = topic, msgtype
        if key not in self._connections:
            self._connections[key] = self._writer.add_connection(topic, msgtype, typestore=store)
        self._writer.write(self._connections[key], log_ns, store.serialize_cdr(message, msgtype))

    def _connection(self, c: Connection) -> RosbagsConnection:
        key = c.topic, c.msgtype
        if key not in self._connections:
            definition, digest = c.definition, c.digest
            # Of vision_msgs there are two layouts: no definition is better than the wrong one.
            known = c.msgtype in self.store.fielddefs and not c.msgtype.startswith("vision_msgs/")
            if not definition and known:
                definition, _ = self.store.generate_msgdef(c.msgtype, ros_version=2)
                digest = self.store.hash_rihs01(c.msgtype)
            self._connections[key] = self._writer.add_connection(
                c.topic,
                c.msgtype,
                msgdef=definition,
                rihs01=digest or "RIHS01_" + "0" * 64,
                serialization_format=c.encoding,
                offered_qos_profiles=c.qos,
            )
        return self._connections[key]

    def _refuse_existing(self) -> None:
        if self.path.exists():
            raise BagError(
                self.path, "exists already", "Remove it or give another name: nothing is overwritten"
            )

    def _finish(self) -> None:
        self._writer.close()
        self._refuse_existing()
        (self._folder / self.path.name).rename(self.path)
