"""What can still be read of a damaged storage file, where `rosbags` gives up.

MCAP (https://mcap.dev/spec) is read record by record from its start, without the index at its end, to the
damage and, where only a chunk's content is damaged, beyond it. SQLite is read row by row.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from binascii import crc32
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]
from rosbags.rosbag2 import Reader

from edgeguard.bags.connection import Connection

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_MAX_OPCODE = 0x0F
_PIECE = 1 << 14


def is_intact(path: Path) -> bool:
    """Whether a storage file can be read to its end, found by reading it."""
    if path.suffix == ".mcap":
        return not SalvagedMcap(path).lost
    if sqlite_shortfall(path):
        return False
    try:
        with Reader(path), closing(_connect(path)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except Exception:  # whatever it is, the salvager names it
        return False


def sqlite_shortfall(path: Path) -> str:
    """What a sqlite3 file's header and its neighbour say is missing; empty for none.

    SQLite itself fills a last page that is cut short with zeros and says nothing, and `rosbags` reads past
    a write-ahead log.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        return f"{wal.name} beside it holds messages that were not merged (open it once with sqlite3)"
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        return "it is no SQLite database"
    (page_size,) = struct.unpack_from(">H", head, 16)
    changes, pages = struct.unpack_from(">II", head, 24)
    (valid_for,) = struct.unpack_from(">I", head, 92)
    size, expected = path.stat().st_size, pages * (65536 if page_size == 1 else page_size)
    if changes == valid_for and size < expected:
        return f"{expected - size} of its {expected} bytes are missing"
    return ""


class _Message(NamedTuple):
    channel: int
    log_ns: int
    data: bytes


class SalvagedMcap:
    """An MCAP file read from start to damage.

    Attributes:
        connections: its topics, counting the messages that are readable.
        start_ns: log time of its first readable message.
        lost: what is not readable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schemas: dict[int, tuple[str, str]] = {}
        self._channels: dict[int, tuple[str, str, str, str]] = {}
        self.lost: list[str] = []
        counts: Counter[int] = Counter()
        self.start_ns = 1 << 63
        for message in self._scan(self.lost.append):
            counts[message.channel] += 1
            self.start_ns = min(self.start_ns, message.log_ns)
        self.connections = [
            Connection(topic, msgtype, definition, "", counts[i], encoding)
            for i, (topic, msgtype, definition, encoding) in self._channels.items()
        ]

    def messages(self) -> Iterator[tuple[str, str, int, bytes]]:
        for message in self._scan(lambda problem: None):
            topic, msgtype, _, _ = self._channels[message.channel]
            yield topic, msgtype, message.log_ns, message.data

    def close(self) -> None:
        """Nothing stays open between reads."""

    def _scan(self, report: Callable[[str], None]) -> Iterator[_Message]:
        with self._path.open("rb") as file:
            if file.read(8) != _MAGIC:
                report("does not begin as an MCAP file")
                return
            size = self._path.stat().st_size
            while True:
                at = file.tell()
                head = file.read(9)
                opcode, length = struct.unpack("<BQ", head) if len(head) == 9 else (0, 0)
                if opcode in (_DATA_END, _FOOTER):
                    if not _has_footer(file):
                        report("the index at its end is damaged; all messages before it were read")
                    return
                whole = at + 9 + length <= size
                if not 0 < opcode <= _MAX_OPCODE and not opcode & 0x80 or (not whole and opcode != _CHUNK):
                    report(f"unreadable from byte {at} on, {size - at} of {size} bytes are lost")
                    return
                body = file.read(min(length, size - at - 9))
                try:
                    yield from self._record(opcode, body, at, report)
                except (struct.error, ValueError, IndexError, KeyError) as e:
                    report(f"the record at byte {at} is damaged ({e})")
                if not whole:
                    report(f"ends in the middle of the chunk at byte {at}")
                    return

    def _record(self, opcode: int, body: bytes, at: int, report: Callable[[str], None]) -> Iterator[_Message]:
        if opcode == _SCHEMA:
            (key,) = struct.unpack_from("<H", body)
            stream = BytesIO(body[2:])
            name, _, text = _text(stream), _text(stream), _text(stream)
            self._schemas[key] = name, text
        elif opcode == _CHANNEL:
            key, schema = struct.unpack_from("<HH", body)
            stream = BytesIO(body[4:])
            topic, encoding = _text(stream), _text(stream)
            self._channels[key] = topic, *self._schemas.get(schema, ("", "")), encoding
        elif opcode == _MESSAGE:
            channel, _, log_ns = struct.unpack_from("<HIQ", body)
            if channel in self._channels and log_ns < 1 << 63:
                yield _Message(channel, log_ns, body[22:])
        elif opcode == _CHUNK:
            yield from sorted(self._chunk(body, at, report), key=lambda m: m.log_ns)

    def _chunk(self, body: bytes, at: int, report: Callable[[str], None]) -> Iterator[_Message]:
        size, crc = struct.unpack_from("<QI", body, 16)
        stream = BytesIO(body[28:])
        compression = _text(stream)
        stream.seek(8, 1)
        data = _decompressed(compression, stream.read(), size)
        if len(data) >= size and crc and crc32(data[:size]) != crc:
            report(f"the chunk at byte {at} fails its checksum and was left out")
            return
        if len(data) < size:
            report(f"the chunk at byte {at} is damaged: {len(data)} of its {size} bytes are readable")
        offset = 0
        while offset + 9 <= min(len(data), size):
            opcode, length = struct.unpack_from("<BQ", data, offset)
            record = data[offset + 9 : offset + 9 + length]
            offset += 9 + length
            if len(record) < length:
                if len(data) >= size:
                    report(f"the chunk at byte {at} holds a record that exceeds it")
                return
            if opcode != _CHUNK:
                yield from self._record(opcode, record, at, report)


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<I", stream.read(4))
    data = stream.read(length)
    if len(data) < length:
        raise ValueError("a text exceeds its record")
    return data.decode()


def _has_footer(file: BinaryIO) -> bool:
    end = file.seek(0, 2)
    file.seek(max(end - 37, 0))
    tail = file.read()
    if len(tail) != 37 or tail[-8:] != _MAGIC or tail[0] != _FOOTER:
        return False
    (summary,) = struct.unpack_from("<Q", tail, 9)
    return bool(summary <= end)


def _decompressed(compression: str, data: bytes, size: int) -> bytes:
    """As much of a chunk's content as can be had."""
    if compression == "":
        return data
    if compression == "zstd":
        decompress: Callable[[bytes], bytes] = zstd.ZstdDecompressor().decompress
    elif compression == "lz4":
        decompress = LZ4FrameDecompressor().decompress
    else:
        raise ValueError(f"its compression {compression!r} is not known")
    out = bytearray()
    for start in range(0, len(data), _PIECE):
        try:
            out += decompress(data[start : start + _PIECE])
        except (zstd.ZstdError, RuntimeError, EOFError):
            break
        if len(out) > size:
            break
    return bytes(out)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)


class SalvagedSqlite:
    """A sqlite3 storage file read row by row, over damaged pages where it can be.

    Attributes: as `SalvagedMcap`.
    """

    def __init__(self, path: Path) -> None:
        self._db = _connect(path)
        self.lost: list[str] = []
        try:
            # Otherwise SQLite refuses a file that is shorter than its header says.
            self._db.execute("PRAGMA writable_schema=ON")
            self._topics = self._read_topics()
        except sqlite3.Error:
            self.close()
            raise
        counts: Counter[int] = Counter()
        self.start_ns = 1 << 63
        for topic, log_ns, _ in self._rows(self.lost.append):
            counts[topic] += 1
            self.start_ns = min(self.start_ns, log_ns)
        if not self.lost:
            self.lost.append(
                f"damaged ({sqlite_shortfall(path) or 'fails its check'}); every row found was read"
            )
        self.connections = [
            Connection(name, msgtype, definition, "", counts[i], encoding)
            for i, (name, msgtype, definition, encoding) in self._topics.items()
        ]

    def messages(self) -> Iterator[tuple[str, str, int, bytes]]:
        for topic, log_ns, data in self._rows(lambda problem: None):
            name, msgtype, _, _ = self._topics[topic]
            yield name, msgtype, log_ns, data

    def close(self) -> None:
        self._db.close()

    def _read_topics(self) -> dict[int, tuple[str, str, str, str]]:
        definitions: dict[str, str] = {}
        # Before Iron there is no such table; where it is damaged, our own definitions must do.
        with suppress(sqlite3.Error):
            definitions.update(
                self._db.execute("SELECT topic_type, encoded_message_definition FROM message_definitions")
            )
        rows = self._db.execute("SELECT id, name, type, serialization_format FROM topics")
        return {i: (str(n), str(t), definitions.get(t, ""), str(f)) for i, n, t, f in rows}

    def _rows(self, report: Callable[[str], None]) -> Iterator[tuple[int, int, bytes]]:
        last = 0
        columns = "SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED WHERE id"
        try:
            for row, *message in self._db.execute(f"{columns} > 0 ORDER BY id"):
                last = row
                if self._is_message(*message):
                    yield message[0], message[1], message[2]
            return
        except sqlite3.Error as e:
            problem = str(e)
        found = 0
        newest = self._newest(last)
        for row in range(last + 1, newest + 1):
            try:
                message = self._db.execute(f"{columns} = ?", (row,)).fetchone()
            except sqlite3.Error:
                continue
            if message is not None and self._is_message(*message[1:]):
                found += 1
                yield message[1:]
        lost = f"{newest - last - found} rows after it are lost" if newest > last else "what follows is lost"
        report(f"damaged after row {last} ({problem}); {lost}")

    def _newest(self, last: int) -> int:
        try:
            (newest,) = self._db.execute("SELECT max(id) FROM messages").fetchone()
        except sqlite3.Error:
            return last
        return int(newest) if isinstance(newest, int) and newest < last + 10_000_000 else last

    def _is_message(self, topic: object, log_ns: object, data: object) -> bool:
        return topic in self._topics and isinstance(log_ns, int) and log_ns >= 0 and isinstance(data, bytes)
