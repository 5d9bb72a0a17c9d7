from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgeguard.report import DriveRecord, summarise, write_report
from edgeguard.report import html as report_html
from edgeguard.report.summary import Source
from edgeguard.verdict import Level, Subject, SubjectKind

from .conftest import Drive, alarm


class _Page(HTMLParser):
    """Collects the visible text, and every address that the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("script", "style")
        self.scripts += tag == "script"
        self.loads += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(record: DriveRecord, tmp_path: Path, source: Source | None = None) -> _Page:
    source = source or Source("drives/bag_1", {"camera": "/image"})
    summary = summarise(record, source, duration_s=1.0, wall_s=0.1)
    write_report(tmp_path / "report.html", record, summary)
    return _Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def test_tells_why_the_drive_was_stopped(drive: Drive, tmp_path: Path) -> None:
    record = drive.frames([[], [alarm()], [alarm(level=Level.FAIL_SAFE)], []])
    text = page(record, tmp_path).text
    assert "Stopped 0.20 s into the drive" in text
    for part in ("lidar_support", "track 7 (car)", "camera", "points_expected 41.3", "6 / 4"):
        assert part in text
    assert text.count("no LiDAR return inside the box where 41 were expected") >= 3


def test_needs_no_network(drive: Drive, tmp_path: Path) -> None:
    loads = page(drive.frames([[], [alarm()]]), tmp_path).loads
    assert len(loads) == 2  # the scene and the close-up
    assert all(address.startswith("data:image/jpeg;base64,") for address in loads)


def test_a_quiet_drive_says_so(drive: Drive, tmp_path: Path) -> None:
    text = page(drive.frames([[]] * 3), tmp_path).text
    assert "stayed below FAIL_SAFE" in text and "No alarm was raised" in text


def test_a_drive_that_never_started_says_so(drive: Drive, tmp_path: Path) -> None:
    drive.frame(alarm(level=Level.FAIL_SAFE), image=False, silent=True)
    assert "Never left the hold at start-up" in page(drive.record, tmp_path).text


def test_names_in_the_recording_cannot_break_out_of_the_page(drive: Drive, tmp_path: Path) -> None:
    clean = page(drive.frames([[alarm()]]), tmp_path)
    evil = "</script><script>alert(1)</script><img src=x>"
    subject = Subject(SubjectKind.TRACK, 3, evil, (0.0, 0.0, 9.0, 9.0))
    drive.frame(alarm(subject=subject, reason=evil))
    told = page(drive.record, tmp_path, Source(evil, {"camera": evil}, lost=(evil,)))
    assert told.scripts == clean.scripts
    assert "x" not in told.loads
    assert evil in told.text


def test_says_what_could_not_be_observed_and_what_was_lost(drive: Drive, tmp_path: Path) -> None:
    source = Source("bag", {"detections": "/d"}, lost=("3 messages of /image",), clock_offset_s=12.5)
    text = page(drive.frames([[]]), tmp_path, source).text
    assert "LiDAR points: the recording has no such stream" in text
    assert "3 messages of /image" in text and "12.500 s" in text


def test_a_storm_of_alarms_gives_a_page_of_bounded_size(drive: Drive, tmp_path: Path) -> None:
    for i in range(10):
        drive.frame(*(alarm(track=i * 100 + k) for k in range(100)))
    text = page(drive.record, tmp_path).text
    assert len(re.findall(r"track \d+ \(car\)", text)) < 1000
    assert f"{1000 - report_html.MAX_ROWS} more alarms" in text


def test_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edgeguard.errors import EdgeGuardError

    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(EdgeGuardError, match=r"plotly.*pip install 'edgeguard\[report\]'"):
        report_html.require_libraries()
