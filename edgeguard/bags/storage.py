"""One recording as one stream of raw messages: folder or file, split, compressed, whole or damaged."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import yaml
from rosbags.interfaces import Connection as RosbagsConnection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from edgeguard.bags.connection import Connection
from edgeguard.bags.salvage import SalvagedMcap, SalvagedSqlite, is_intact, sqlite_shortfall
from edgeguard.errors import BagError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PARTIAL = "Copy it again from its source, or process what is readable with --partial"


class _File(Protocol):
    """One storage file: what `rosbags`' reader and the salvagers have in common."""

    connections: list[Connection]
    start_ns: int
    lost: list[str]

    def messages(self) -> Iterator[tuple[str, str, int, bytes]]: ...

    def close(self) -> None: ...


class _IntactFile:
    """A storage file read by `rosbags`."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._reader.open()
        self.lost: list[str] = []
        self.connections = [_connection(c) for c in self._reader.connections]
        self.start_ns = self._reader.start_time

    def messages(self) -> Iterator[tuple[str, str, int, bytes]]:
        for connection, log_ns, data in self._reader.messages():
            yield connection.topic, connection.msgtype, log_ns, data

    def close(self) -> None:
        self._reader.close()


class Storage:
    """All files of a recording, in the order of time.

    Args:
        path: a rosbag2 folder, or one of its files.
        partial: read what is readable of a damaged recording.

    Raises:
        BagError: there is nothing to read, or something is damaged and `partial` is off.
    """

    def __init__(self, path: Path, *, partial: bool) -> None:
        self.path, self._partial = path, partial
        self.lost: list[str] = []
        self._stack = ExitStack()
        self._files: list[tuple[Path, _File]] = []
        try:
            for file in self._find():
                if (opened := self._open(file)) is not None:
                    self._stack.callback(opened.close)
                    self._files.append((file, opened))
            self._files.sort(key=lambda f: f[1].start_ns)
            self.connections = _merged([c for _, f in self._files for c in f.connections])
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield topic, log time and CDR of every message, file after file, by log time within a file."""
        by_key = {(c.topic, c.msgtype): c for c in self.connections}
        for path, file in self._files:
            for topic, msgtype, log_ns, data in self._guarded(path, file):
                if data[:4] == ZSTD_MAGIC:  # CDR begins with 0: this message was compressed alone
                    try:
                        data = zstd.decompress(data)
                    except zstd.ZstdError as e:
                        self._damaged(path, f"a message of {topic} at log time {log_ns} ns is damaged ({e})")
                        continue
                yield by_key[topic, msgtype], log_ns, data

    def _guarded(self, path: Path, file: _File) -> Iterator[tuple[str, str, int, bytes]]:
        stream = file.messages()
        while True:
            try:
                message = next(stream)
            except StopIteration:
                return
            except Exception as e:  # rosbags raises what its parsers meet on damaged bytes
                self._damaged(path, f"damaged in its middle ({_reason(e)})")
                return
            yield message

    def _damaged(self, path: Path, problem: str) -> None:
        if not self._partial:
            raise BagError(path, problem, _PARTIAL)
        line = f"{path.name}: {problem}"
        if line not in self.lost:  # a second reading meets the same damage
            self.lost.append(line)

    def _find(self) -> list[Path]:
        """The storage files of the recording."""
        if not self.path.exists():
            raise BagError(self.path, "does not exist", "Give a rosbag2 folder, or an .mcap or .db3 file")
        if self.path.is_file():
            if not self.path.name.endswith(SUFFIXES):
                raise BagError(
                    self.path, "is no rosbag2 file", f"Give a folder, or one of {', '.join(SUFFIXES)}"
                )
            return [self.path]
        present = sorted(p for p in self.path.iterdir() if p.name.endswith(SUFFIXES))
        listed = self._listed()
        if listed is None:
            if not present:
                raise BagError(self.path, "holds no .mcap or .db3 file", "Give a rosbag2 folder")
            self.lost.append(
                f"{self.path.name}: no usable metadata.yaml; read the {len(present)} file(s) found"
            )
            return present
        missing = [p.name for p in listed if not p.exists()]
        if missing:
            self._damaged(self.path, f"metadata.yaml names files that are missing: {', '.join(missing)}")
        if len(missing) == len(listed):
            raise BagError(self.path, "has none of the files that its metadata.yaml names", "Copy it again")
        return [p for p in listed if p.exists()]

    def _listed(self) -> list[Path] | None:
        """The files that metadata.yaml names; None where it cannot be read."""
        metadata = self.path / "metadata.yaml"
        reindex = "Rebuild it with `ros2 bag reindex`, name one of the folder's files, or use --partial"
        try:
            info: Any = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
            names = [str(n) for n in info["relative_file_paths"]]
            if not names:
                raise ValueError("it names no files")
        except Exception as e:
            missing = isinstance(e, FileNotFoundError)
            problem = "does not exist" if missing else f"cannot be read ({_reason(e)})"
            if not self._partial:
                raise BagError(metadata, problem, reindex) from e
            return None
        # Version 4 and older put the folder's own name before the file's.
        return [p if (p := self.path / n).exists() else self.path / PurePosixPath(n).name for n in names]

    def _open(self, path: Path) -> _File | None:
        """Open a file; None where nothing of it is readable and that is not an error."""
        if path.stat().st_size == 0:
            self._damaged(path, "is empty (0 bytes)")
            return None
        plain = self._inflated(path) if path.suffix == ".zstd" else path
        if not self._partial or is_intact(plain):
            if plain.suffix == ".db3" and (missing := sqlite_shortfall(plain)):
                self._damaged(path, f"is truncated or damaged ({missing})")
            try:
                return _IntactFile(plain)
            except Exception as e:  # rosbags raises what its parsers meet on damaged bytes
                self._damaged(path, f"is truncated or damaged ({_reason(e)})")
        try:
            salvaged: _File = SalvagedMcap(plain) if plain.suffix == ".mcap" else SalvagedSqlite(plain)
        except Exception as e:
            self._damaged(path, f"holds nothing readable ({_reason(e)})")
            return None
        self.lost += [f"{path.name}: {problem}" for problem in salvaged.lost]
        return salvaged

    def _inflated(self, path: Path) -> Path:
        """Decompress a file that was compressed whole into a folder that goes with this object."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeguard-"))
        target = Path(folder) / path.stem
        decompressor, problem = zstd.ZstdDecompressor(), ""
        with path.open("rb") as source, target.open("wb") as sink:
            while (piece := source.read(1 << 20)) and not problem:
                while piece:
                    try:
                        sink.write(decompressor.decompress(piece))
                    except zstd.ZstdError as e:
                        problem = f"its compressed data is damaged ({e})"
                        break
                    piece = decompressor.unused_data if decompressor.eof else b""
                    if piece:
                        decompressor = zstd.ZstdDecompressor()
        if problem or not decompressor.eof:
            self._damaged(path, problem or "its compressed data ends too early")
        return target

    def _check(self) -> None:
        if not any(c.count for c in self.connections):
            more = f" ({'; '.join(self.lost)})" if self.lost else ""
            raise BagError(self.path, f"holds no readable message{more}", "Record or copy it again")


def _connection(c: RosbagsConnection) -> Connection:
    assert isinstance(c.ext, ConnectionExtRosbag2)
    return Connection(
        c.topic,
        c.msgtype,
        c.msgdef.data,
        c.digest,
        c.msgcount,
        c.ext.serialization_format,
        tuple(c.ext.offered_qos_profiles),
    )


def _merged(connections: list[Connection]) -> list[Connection]:
    """One connection a topic and type, with the counts of all files."""
    merged: dict[tuple[str, str], Connection] = {}
    for c in connections:
        key = c.topic, c.msgtype
        known = merged.get(key)
        merged[key] = c if known is None else replace(known, count=known.count + c.count)
    return sorted(merged.values(), key=lambda c: (c.topic, c.msgtype))


def _reason(e: Exception) -> str:
    return (str(e) or type(e).__name__).rstrip(".").replace("\n", " ")
