"""Damage anywhere is one `BagError`, or with `partial` a result that says what was lost."""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recordings as rec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeguard.bags import BagItem, BagReader
from edgeguard.errors import BagError

# Large enough images for several chunks and database pages.
SIZE = (160, 120)


def _unchunked(path: Path) -> Path:
    path.mkdir()
    return rec.write_unchunked(path / "bag.mcap", rec.drive())


KINDS: dict[str, Callable[[Path], Path]] = {
    "mcap": lambda p: rec.write(p, rec.drive(20, size=SIZE)),
    "mcap-zstd": lambda p: rec.write(p, rec.drive(20, size=SIZE), compression="storage"),
    "mcap-file": lambda p: rec.write(p, rec.drive(20, size=SIZE), compression="file"),
    "mcap-message": lambda p: rec.write(p, rec.drive(20, size=SIZE), compression="message"),
    "mcap-unchunked": _unchunked,
    "sqlite3": lambda p: rec.write(p, rec.drive(20, size=SIZE), plugin="sqlite3"),
    "sqlite3-file": lambda p: rec.write(p, rec.drive(20, size=SIZE), plugin="sqlite3", compression="file"),
}


@pytest.fixture(scope="module", params=KINDS)
def bag(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage file of an intact recording."""
    written = KINDS[request.param](tmp_path_factory.mktemp("intact") / "bag")
    return written if written.is_file() else rec.storage_file(written)


def read(path: Path, *, partial: bool) -> tuple[list[BagItem], tuple[str, ...]]:
    with BagReader(path, partial=partial) as reader:
        items = list(reader.messages())
        return items, reader.lost


@cache
def _intact_keys(path: Path) -> list[tuple[int, str]]:
    return keys(read(path, partial=False)[0])


def keys(items: list[BagItem]) -> list[tuple[int, str]]:
    return [(i.log_ns, i.topic) for i in items]


@pytest.mark.parametrize(
    "share", [0, 1e-5, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, -2000, -300, -40, -9, -1]
)
def test_truncation(bag: Path, tmp_path: Path, share: float) -> None:
    whole = bag.read_bytes()
    cut = tmp_path / bag.name
    cut.write_bytes(whole[: int(share * len(whole)) if share >= 0 else max(len(whole) + int(share), 0)])
    with pytest.raises(BagError, match=str(cut.name)):
        read(cut, partial=False)
    try:
        items, lost = read(cut, partial=True)
    except BagError:
        assert abs(share) < 0.2, "a good part of the recording is there"
        return
    assert lost
    intact = _intact_keys(bag)
    assert set(keys(items)) <= set(intact)
    assert share < 0.5 or len(items) > 0.4 * share * len(intact)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes(bag: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Formats without checksums cannot show every change; whatever comes of it is a value or a `BagError`."""
    content = bytearray(bag.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=64))
    content[start : start + len(noise)] = noise[: len(content) - start]
    changed = tmp_path / bag.name
    changed.write_bytes(content)
    for partial in (False, True):
        try:
            read(changed, partial=partial)
        except BagError as e:
            assert str(changed.parent) in str(e)


def test_a_damaged_chunk_costs_no_other(tmp_path: Path) -> None:
    path = rec.storage_file(KINDS["mcap-zstd"](tmp_path / "bag"))
    content = bytearray(path.read_bytes())
    chunk = content.index(b"zstd", content.index(b"zstd") + 4)
    content[chunk + 12 : chunk + 20] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(BagError, match="--partial"):
        read(path, partial=False)
    items, lost = read(path, partial=True)
    assert len(lost) == 1 and "chunk at byte" in lost[0]
    stamps = {i.log_ns for i in items if i.channel == "camera"}
    assert min(stamps) == rec.T0 + 1000 and len(stamps) == 18, "the first of two chunks is read"


def test_a_damaged_page_costs_no_row_beyond_it(tmp_path: Path) -> None:
    path = rec.storage_file(KINDS["sqlite3"](tmp_path / "bag"))
    with sqlite3.connect(path) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    content = bytearray(path.read_bytes())
    size = len(content) // pages
    start = pages // 2 * size
    content[start : start + 8 * size] = b"\xff" * (8 * size)
    path.write_bytes(content)
    items, lost = read(path, partial=True)
    assert lost
    assert max(i.log_ns for i in items) > rec.T0 + 19 * rec.PERIOD


def test_an_empty_file(tmp_path: Path) -> None:
    for name in ("empty.mcap", "empty.db3", "empty.mcap.zstd"):
        (tmp_path / name).touch()
        for partial in (False, True):
            with pytest.raises(BagError, match="empty"):
                BagReader(tmp_path / name, partial=partial)


@pytest.mark.parametrize("plugin", ["mcap", "sqlite3"])
def test_no_messages(tmp_path: Path, plugin: str) -> None:
    with pytest.raises(BagError, match="holds no readable message"):
        BagReader(rec.write(tmp_path / "bag", [], plugin=plugin))


def test_not_a_recording(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no bag")
    for path, words in [
        (tmp_path / "absent", "does not exist"),
        (tmp_path / "a.txt", "is no rosbag2 file"),
    ]:
        with pytest.raises(BagError, match=words):
            BagReader(path)
    with pytest.raises(BagError, match="metadata.yaml: does not exist.*reindex"):
        BagReader(tmp_path)
    with pytest.raises(BagError, match="holds no"):
        BagReader(tmp_path, partial=True)


@pytest.mark.parametrize("content", [None, "", "rosbag2_bagfile_information: 3", "a: [", "\x00\xff"])
def test_metadata_that_is_missing_or_nonsense(tmp_path: Path, content: str | None) -> None:
    path = rec.split(tmp_path / "bag", rec.drive())
    metadata = path / "metadata.yaml"
    metadata.unlink() if content is None else metadata.write_text(content)
    with pytest.raises(BagError, match="metadata.yaml.*reindex.*--partial"):
        BagReader(path)
    items, lost = read(path, partial=True)
    assert len(items) == 25 and items == sorted(items, key=lambda i: i.log_ns)
    assert len(lost) == 1 and "metadata.yaml" in lost[0]


def test_a_missing_split_file(tmp_path: Path) -> None:
    path = rec.split(tmp_path / "bag", rec.drive())
    (path / "part_9.mcap").unlink()
    with pytest.raises(BagError, match="files that are missing: part_9.mcap.*--partial"):
        BagReader(path)
    items, lost = read(path, partial=True)
    assert len(items) == 13 and "part_9.mcap" in lost[0]
    (path / "part_10.mcap").unlink()
    with pytest.raises(BagError, match="none of the files"):
        BagReader(path, partial=True)


def test_one_damaged_split_costs_no_other(tmp_path: Path) -> None:
    path = rec.split(tmp_path / "bag", rec.drive())
    part = path / "part_9.mcap"
    part.write_bytes(part.read_bytes()[:100])
    items, lost = read(path, partial=True)
    assert len(items) == 13 and all("part_9.mcap" in line for line in lost)


def test_nothing_of_a_reader_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = rec.write(tmp_path / "bag", rec.drive(), compression="file")
    read(path, partial=False)
    shutil.copy(rec.storage_file(path), tmp_path / "cut.mcap.zstd")
    with (tmp_path / "cut.mcap.zstd").open("r+b") as file:
        file.truncate(50)
    with pytest.raises(BagError):
        read(tmp_path / "cut.mcap.zstd", partial=False)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_partial_on_an_intact_recording_changes_nothing(bag: Path) -> None:
    items, lost = read(bag, partial=True)
    assert keys(items) == keys(read(bag, partial=False)[0]) and lost == ()
    assert len(items) == len(set(keys(items))) and np.all(np.diff([i.log_ns for i in items]) >= 0)


def test_a_write_ahead_log_that_was_not_merged(tmp_path: Path) -> None:
    """A recorder that was killed leaves its last messages in a file beside."""
    path = rec.storage_file(rec.write(tmp_path / "bag", rec.drive(), plugin="sqlite3"))
    path.with_name(path.name + "-wal").write_bytes(b"log")
    with pytest.raises(BagError, match="db3-wal beside it"):
        BagReader(path)
    items, lost = read(path, partial=True)
    assert len(items) == 25 and "db3-wal" in lost[0]


def test_a_damaged_first_message_does_not_hide_the_radar(tmp_path: Path) -> None:
    """Which cloud is the radar's is told by a message's fields, so by the first that is readable."""
    clouds = [
        ("/points", rec.CLOUD, rec.T0 + i, rec.to_point_cloud_msg(rec.STORE, rec.cloud(i))) for i in (0, 1)
    ]
    radar = [("/radar", t, log_ns, edit_fields(msg)) for _, t, log_ns, msg in clouds]
    messages = [*rec.drive(1)[1:2], *clouds, *radar]
    path = rec.write(tmp_path / "bag", messages, plugin="sqlite3")
    with sqlite3.connect(rec.storage_file(path)) as db:
        db.execute("UPDATE messages SET data = substr(data, 1, 60) WHERE id = 4")
    with pytest.raises(BagError, match="/radar.*ends in its middle"):
        BagReader(path)
    with BagReader(path, partial=True) as reader:
        assert reader.topics["radar"] == "/radar" and reader.topics["lidar"] == "/points"
        assert len(list(reader.messages())) == 4 and "/radar: 1 message(s)" in reader.lost[0]


def edit_fields(msg: Any) -> Any:
    """The same cloud, its intensity called a radial velocity."""
    renamed = copy.deepcopy(msg)
    renamed.fields[3].name = "v_r"
    return renamed
