"""A written recording appears whole or not at all, and the same messages give the same bytes."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import recordings as rec

from edgeguard.bags import BagReader, BagWriter, to_image_msg
from edgeguard.errors import BagError


def copy(source: Path, target: Path) -> None:
    """Copy a recording, blackening its images and noting it."""
    with BagReader(source) as reader, BagWriter(target) as writer:
        for connection in reader.connections:
            writer.add(connection)
        for raw in reader.raw_messages():
            if raw.channel != "camera":
                writer.copy(raw.connection, raw.log_ns, raw.data)
                continue
            image, original = reader.value(raw), reader.decode(raw)
            black = type(image)(image.stamp_ns, image.frame_id, np.zeros_like(image.bgr))
            msg = to_image_msg(writer.store, black, original=original)
            writer.write(raw.connection.topic, raw.connection.msgtype, raw.log_ns, msg)
        note = writer.store.types["std_msgs/msg/String"](data="blackened")
        writer.write("/edgeguard/attack", "std_msgs/msg/String", rec.T0, note)


@pytest.mark.parametrize("embed", [True, False])
@pytest.mark.parametrize("store", [rec.STORE, rec.OLD_STORE])
def test_a_copy_holds_everything(tmp_path: Path, store: object, embed: bool) -> None:
    source = rec.write(tmp_path / "bag", rec.drive(store=store), plugin="sqlite3", store=store, embed=embed)
    copy(source, tmp_path / "copy")
    with BagReader(source) as before, BagReader(tmp_path / "copy") as after:
        assert after.topics == before.topics
        counts = {c.topic: c.count for c in after.connections}
        assert counts == {c.topic: c.count for c in before.connections} | {"/edgeguard/attack": 1}
        unchanged = [
            [(r.log_ns, r.data) for r in bag.raw_messages() if r.channel not in (None, "camera")]
            for bag in (before, after)
        ]
        assert unchanged[0] == unchanged[1]
        images = [i.value for i in after.messages() if i.channel == "camera"]
        assert len(images) == 4 and not any(i.bgr.any() for i in images)
        list(before.messages())
    metadata = (tmp_path / "copy" / "metadata.yaml").read_text()
    assert "copy.mcap" in metadata


def test_the_same_messages_give_the_same_bytes(tmp_path: Path) -> None:
    source = rec.write(tmp_path / "bag", rec.drive())
    digests = set()
    for name in ("a", "b"):
        copy(source, tmp_path / name / "copy")
        files = sorted((tmp_path / name / "copy").iterdir())
        digests.add(tuple((f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files))
    assert len(digests) == 1


def test_an_existing_path_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path)
    with pytest.raises(BagError, match="exists already"), BagWriter(tmp_path / "late"):
        (tmp_path / "late").mkdir()
    assert [p.name for p in tmp_path.iterdir()] == ["late"] and not list((tmp_path / "late").iterdir())


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), BagWriter(tmp_path / "bag") as writer:
        topic, msgtype, log_ns, msg = rec.drive(1)[1]
        writer.write(topic, msgtype, log_ns, msg)
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="cannot be written"):
        BagWriter(tmp_path / "file" / "bag")


def test_a_topic_without_definition_is_copied(tmp_path: Path) -> None:
    """Custom messages in sqlite3 before Iron: nobody knows their definition, their bytes are still data."""
    source = rec.write(tmp_path / "bag", rec.drive(), plugin="sqlite3", embed=False)
    with sqlite3.connect(rec.storage_file(source)) as db:
        db.execute("UPDATE topics SET type = 'acme_msgs/msg/Secret' WHERE name = '/odom'")
    metadata = source / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("nav_msgs/msg/Odometry", "acme_msgs/msg/Secret"))
    copy(source, tmp_path / "copy")
    with BagReader(tmp_path / "copy") as reader:
        assert {c.topic: c.msgtype for c in reader.connections}["/odom"] == "acme_msgs/msg/Secret"
        assert sum(r.connection.topic == "/odom" for r in reader.raw_messages()) == 4
