"""What cannot be attacked is said in one sentence, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeguard.bags import BagReader, BagWriter
from edgeguard.errors import EdgeGuardError
from edgeguard.redteam import attack_bag
from edgeguard.types import Channel, Detections, Image
from tests.sim.stand_in import SimDetector


class SeesNothing:
    def detect(self, image: Image) -> Detections:
        return Detections.empty(image.stamp_ns, ("car",))


def without(bag: Path, topics: set[str], out: Path) -> Path:
    with BagReader(bag) as reader, BagWriter(out) as writer:
        for m in reader.raw_messages():
            if m.connection.topic not in topics:
                writer.copy(m.connection, m.log_ns, m.data)
    return out


@pytest.mark.parametrize("kind", ["hide", "phantom", "lidar_remove"])
def test_no_vehicle(kind: str, drive: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeGuardError, match=f"attack {kind}: the engine finds no"):
        attack_bag(drive, tmp_path / "out", kind, engine=SeesNothing)
    assert not list(tmp_path.iterdir())


def test_unknown_kind_names_the_known(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeGuardError, match="attack melt: unknown.*blind.*phantom"):
        attack_bag(drive, tmp_path / "out", "melt", engine=SimDetector)


@pytest.mark.parametrize(("start", "duration"), [(60.0, None), (-1.0, None), (0.5, 0.0)])
def test_window_outside_the_drive(start: float, duration: float | None, drive: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeGuardError, match="The drive lasts"):
        attack_bag(drive, tmp_path / "out", "freeze", engine=SimDetector, start_s=start, duration_s=duration)
    assert not list(tmp_path.iterdir())


def test_no_lidar(drive: Path, tmp_path: Path) -> None:
    bag = without(drive, {"/lidar/points", "/radar/points"}, tmp_path / "camera_only")
    with pytest.raises(EdgeGuardError, match="no lidar topic"):
        attack_bag(bag, tmp_path / "out", "lidar_remove", engine=SimDetector)


def test_no_extrinsics(drive: Path, tmp_path: Path) -> None:
    bag = without(drive, {"/tf_static"}, tmp_path / "no_tf")
    with pytest.raises(EdgeGuardError, match="tf_static"):
        attack_bag(bag, tmp_path / "out", "lidar_ghost", engine=SimDetector)


def test_existing_out_is_kept(drive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(EdgeGuardError, match="exists"):
        attack_bag(drive, out, "freeze", engine=SimDetector)
    assert (out / "mine").read_text() == "x"


def test_a_window_changes_only_itself(drive: Path, tmp_path: Path) -> None:
    outcome = attack_bag(drive, tmp_path / "out", "blind", engine=SimDetector, start_s=0.3, duration_s=0.4)
    with BagReader(drive) as a, BagReader(tmp_path / "out") as b:
        clean = [m.value for m in a.messages() if m.channel == Channel.CAMERA]
        dazzled = [m.value for m in b.messages() if m.channel == Channel.CAMERA]
    differ = [i.stamp_ns for i, j in zip(clean, dazzled) if not np.array_equal(i.bgr, j.bgr)]
    assert differ == [i.stamp_ns for i in clean if outcome.onset_ns <= i.stamp_ns <= outcome.end_ns]
    assert len(differ) == outcome.frames == 4


def test_attacks_can_follow_each_other(drive: Path, tmp_path: Path) -> None:
    attack_bag(drive, tmp_path / "one", "freeze", engine=SimDetector, start_s=0.2, duration_s=0.2)
    attack_bag(tmp_path / "one", tmp_path / "two", "lidar_remove", engine=SimDetector, start_s=1.0)
    with BagReader(tmp_path / "two") as reader:
        notes = [m for m in reader.raw_messages() if m.connection.topic == "/edgeguard/attack"]
        kinds = {reader.decode(m).data.split('"kind": "')[1].split('"')[0] for m in notes}
    assert kinds == {"freeze", "lidar_remove"}
