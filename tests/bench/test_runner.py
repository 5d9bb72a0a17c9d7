"""A run that was stopped goes on where it was, and the same code gives the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeguard.bags import BagWriter
from edgeguard.bench import document, page, runner
from edgeguard.bench.matrix import Cell, Drive, Role
from edgeguard.bench.matrix import cells as matrix
from edgeguard.errors import EdgeGuardError
from edgeguard.redteam.registry import KINDS, STRESS


def test_a_trigger_is_tried_on_the_engine_that_waits_for_it() -> None:
    drive = Drive("a", scene="rain")
    assert Cell(drive, Role.ATTACK, "trigger").engine == "sim_detector_backdoored"
    assert Cell(drive, Role.ATTACK, "patch_hide").engine == Cell(drive, Role.CLEAN).engine == "sim_detector"
    assert Cell(Drive("b", "yolox_nano"), Role.ATTACK, "trigger").engine == "yolox_nano"


def told(results: list[dict[str, object]]) -> dict[str, object]:
    out = document.build(results, code="0", command="edgeguard bench", wall_s=1.0)
    out.pop("times")
    return out


def run(cells: list[Cell], out: Path) -> tuple[list[dict[str, object]], list[str]]:
    ran: list[str] = []
    results = runner.run(cells, out, jobs=1, progress=lambda done, total, name: ran.append(name))
    return results, ran


def test_results_are_kept_resumed_and_the_same_twice(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, ran = run(cells, tmp_path / "a")
    assert sorted(ran) == sorted(["", *(c.name for c in cells)])
    clean, freeze, overload, benign = first
    assert clean["alarms"] == [] and benign["skipped"] is None
    assert [a["check"] for a in freeze["alarms"]].count("stream_integrity") >= 1
    assert "no detections topic" in str(overload["skipped"]), (
        "an attack that cannot be made is said, not lost"
    )

    again, ran = run(cells, tmp_path / "a")
    assert ran == [""] and told(again) == told(first)

    path = tmp_path / "a/cells/street.freeze.json"
    path.write_text(path.read_text()[:100])
    (tmp_path / "a/cells/street.clean.json").unlink()
    repaired, ran = run(cells, tmp_path / "a")
    assert sorted(ran) == ["", "street.clean", "street.freeze"]
    assert json.dumps(told(repaired)) == json.dumps(told(first)), "the same numbers twice, byte for byte"

    monkeypatch.setattr(runner, "fingerprint", lambda: "another code")
    _, ran = run(cells[:1], tmp_path / "a")
    assert ran == ["", "street.clean"]


def test_a_recording_that_cannot_be_replayed_fails_its_cell_alone(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "empty"):
        pass
    drive = Drive("empty", engine="sim_detector", bag=str(tmp_path / "empty"))
    results, _ = run([Cell(drive, Role.CLEAN)], tmp_path / "out")
    assert "holds no readable message" in str(results[0]["skipped"])


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeGuardError, match="cannot be written to.*--out"):
        run([], tmp_path / "file")


def test_the_matrix_has_every_attack_on_every_drive() -> None:
    quick, full = matrix(quick=True), matrix(quick=False)
    assert len({c.name for c in full}) == len(full)
    assert {c.kind for c in quick if c.role is Role.ATTACK} == set(KINDS)
    assert {c.kind for c in quick if c.role is Role.BENIGN} == {*STRESS, None}
    benign = {c.drive for c in quick if c.role is Role.BENIGN and c.kind is None}
    assert {d.scene for d in benign} == {"crowd", "cut_in", "billboard"}
    assert not benign & {c.drive for c in full if c.role is not Role.BENIGN}
    drives = {c.drive for c in full if c.role is Role.CLEAN}
    for drive in drives:
        own = [c for c in full if c.drive == drive]
        assert [c.role for c in own].count(Role.CLEAN) == 1
        assert {c.kind for c in own if c.role is Role.ATTACK} == set(KINDS)
    assert {c.drive for c in quick if c.role is Role.CLEAN} < drives
    assert matrix(quick=False, seeds=1) == [c for c in full if c.drive.seed == 101]


def test_the_page_opens_without_a_network(tmp_path: Path) -> None:
    results = [{"cell": Cell(Drive("d", scene="s"), Role.CLEAN).to_dict(), "skipped": None, "duration_s": 1.0,
                "alarms": [], "trips_ns": [], "way": [], "times": {}}]  # fmt: skip
    made = document.build(results, code="0", command="edgeguard bench </script>", wall_s=1.0)
    page.write(tmp_path / "report.html", made)
    html = (tmp_path / "report.html").read_text()
    assert "<script src=" not in html and "</script>&" not in html
    assert "0 of 0 successful attacks detected" in html
    assert "edgeguard bench &lt;/script&gt;" in html
    assert "| benign | drives |" in document.markdown(made)
