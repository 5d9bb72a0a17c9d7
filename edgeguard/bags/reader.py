"""A rosbag2 recording as a stream of the types that flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from rosbags.serde import SerdeError

from edgeguard import messages as convert
from edgeguard.bags.boxes import DETECTIONS, DETECTIONS_3D, BoxDecoder
from edgeguard.bags.connection import Connection
from edgeguard.bags.definitions import Decoder
from edgeguard.bags.storage import Storage
from edgeguard.bags.topics import CAMERA_INFO, TF_STATIC, choose
from edgeguard.errors import BagError, MessageError
from edgeguard.rig import CameraModel
from edgeguard.types import F64, Channel, Detections, Detections3D, EgoMotion, Image, PointCloud, RadarTargets

Value = (
    Image
    | Detections
    | PointCloud
    | Detections3D
    | RadarTargets
    | EgoMotion
    | CameraModel
    | list[tuple[str, str, F64]]
)


@dataclass(frozen=True, slots=True, eq=False)
class BagItem:
    """One message of a chosen topic.

    Attributes:
        log_ns: when it was recorded.
        channel: a `Channel`, `CAMERA_INFO` or `TF_STATIC`.
        topic: where it came from.
        value: what it says.
    """

    log_ns: int
    channel: Channel | str
    topic: str
    value: Value


@dataclass(frozen=True, slots=True, eq=False)
class RawMessage:
    """One message as it was recorded.

    Attributes:
        connection: its topic.
        log_ns: when it was recorded.
        data: CDR, decompressed.
        channel: as `BagItem.channel`; None where the topic feeds none.
    """

    connection: Connection
    log_ns: int
    data: bytes = field(repr=False)
    channel: Channel | str | None = None


class BagReader:
    """Reads a rosbag2 recording: sqlite3 or MCAP, folder or file, split, compressed by file or message.

    A context manager. Messages come in the order of log time and are not kept.

    Args:
        path: folder or file.
        topics: topics by channel (`Channel`, `CAMERA_INFO`, `TF_STATIC`), where a type alone does not decide.
        partial: read what is readable of a damaged recording; `lost` says what was not.

    Raises:
        BagError: also while messages are read, where damage shows only then.
    """

    def __init__(
        self, path: str | Path, *, topics: Mapping[Channel | str, str] | None = None, partial: bool = False
    ) -> None:
        self.path, self.partial = Path(path), partial
        self._storage = Storage(self.path, partial=partial)
        self._decoders: dict[tuple[str, str], Decoder] = {}
        self._camera: tuple[bytes, CameraModel] | None = None
        self._bad: Counter[tuple[str, str]] = Counter()
        self._topics: dict[Channel | str, str] = {}
        self._channels: dict[tuple[str, str], Channel | str] = {}
        try:
            chosen = choose(self.path, self._storage.connections, dict(topics or {}), self._has_doppler)
        except BaseException:
            self.close()
            raise
        for name, connections in chosen.items():
            channel = _CHANNELS.get(name, name)
            self._topics[channel] = connections[0].topic
            self._channels.update({(c.topic, c.msgtype): channel for c in connections})

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the recording's files."""
        self._storage.close()

    @property
    def topics(self) -> Mapping[Channel | str, str]:
        """The topic that was chosen for each channel that has one."""
        return self._topics

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All topics of the recording."""
        return tuple(self._storage.connections)

    @property
    def lost(self) -> tuple[str, ...]:
        """What `partial` could not read, a line each; complete when the messages have been read."""
        bad = [f"{topic}: {n} message(s) could not be used: {why}" for (topic, why), n in self._bad.items()]
        return (*self._storage.lost, *bad)

    def raw_messages(self) -> Iterator[RawMessage]:
        """Yield every message of every topic, for copying."""
        for connection, log_ns, data in self._storage.messages():
            channel = self._channels.get((connection.topic, connection.msgtype))
            yield RawMessage(connection, log_ns, data, channel)

    def messages(self) -> Iterator[BagItem]:
        """Yield the messages of the chosen topics.

        Raises:
            BagError: a message is damaged or nonsense; with `partial` it is counted in `lost` instead.
        """
        for connection in self.connections:
            if (connection.topic, connection.msgtype) in self._channels:
                self.decoder(connection)  # all before the first message
        for raw in self.raw_messages():
            if raw.channel is None:
                continue
            try:
                value = self.value(raw)
            except BagError as e:
                if not self.partial:
                    raise
                self._bad[raw.connection.topic, str(e.__cause__)] += 1
                continue
            yield BagItem(raw.log_ns, raw.channel, raw.connection.topic, value)

    def decode(self, raw: RawMessage) -> Any:
        """Return the message object of a raw message, by `rosbags`' types."""
        try:
            return self.decoder(raw.connection).decode(raw.data)
        except SerdeError as e:
            raise self._error(raw, _CUT_SHORT, e) from e

    def value(self, raw: RawMessage) -> Value:
        """Return what a raw message of a chosen topic says."""
        return self._camera_model(raw) if raw.channel == CAMERA_INFO else self._value(raw)

    def _camera_model(self, raw: RawMessage) -> Value:
        """The one of the message before where only the stamp differs, as it does on every frame of most."""
        content = bytes(raw.data[: convert.STAMP.start]) + bytes(raw.data[convert.STAMP.stop :])
        if self._camera is None or self._camera[0] != content:
            self._camera = content, cast(CameraModel, self._value(raw))
        return self._camera[1]

    def _value(self, raw: RawMessage) -> Value:
        decoder, channel = self.decoder(raw.connection), raw.channel
        try:
            if isinstance(decoder, BoxDecoder):
                return decoder.read(raw.data)
            msg = self.decode(raw)
            if channel == CAMERA_INFO:
                return convert.camera_model(
                    msg, rectified=convert.is_rectified(self._topics.get(Channel.CAMERA, ""))
                )
            if channel == TF_STATIC:
                return convert.transforms(msg)
            return _SIMPLE[raw.connection.msgtype, channel == Channel.RADAR](msg)
        except SerdeError as e:
            raise self._error(raw, _CUT_SHORT, e) from e
        except MessageError as e:
            raise self._error(raw, "cannot be used", e) from e

    def decoder(self, connection: Connection) -> Decoder:
        """Return the decoder of a topic, with the types that its messages are made of."""
        key = connection.topic, connection.msgtype
        if key not in self._decoders:
            kind = BoxDecoder if connection.msgtype in (DETECTIONS, DETECTIONS_3D) else Decoder
            self._decoders[key] = kind(connection.msgtype, connection.definition)
        return self._decoders[key]

    def _error(self, raw: RawMessage, problem: str, cause: Exception) -> BagError:
        topic = f"{raw.connection.topic} ({raw.connection.msgtype})"
        return BagError(
            self.path,
            f"a message of {topic} at log time {raw.log_ns} ns {problem}: {cause}",
            "Use --partial to go on without such messages",
        )

    def _has_doppler(self, connection: Connection) -> bool:
        """Whether the first readable message of a point cloud topic carries radial velocities."""
        for raw in self.raw_messages():
            if raw.connection is connection:
                try:
                    return any(f.name in convert.DOPPLER_FIELDS for f in self.decode(raw).fields)
                except BagError:
                    if not self.partial:
                        raise
        return False


_CUT_SHORT = "ends in its middle or is no such message"
_CHANNELS = {channel.value: channel for channel in Channel}
_SIMPLE: dict[tuple[str, bool], Callable[[Any], Value]] = {
    ("sensor_msgs/msg/Image", False): convert.image,
    ("sensor_msgs/msg/CompressedImage", False): convert.compressed_image,
    ("sensor_msgs/msg/PointCloud2", False): convert.point_cloud,
    ("sensor_msgs/msg/PointCloud2", True): convert.radar_targets,
    ("radar_msgs/msg/RadarTracks", True): convert.radar_tracks,
    ("nav_msgs/msg/Odometry", False): convert.odometry,
}
