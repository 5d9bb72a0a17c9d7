from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeguard.cli.app import app
from edgeguard.errors import EdgeGuardError
from edgeguard.report import summary as summary_module
from edgeguard.verdict import Level

TRACKING = "data/kitti_tracking/kitti_0000"


def summary(level: Level) -> summary_module.Summary:
    source = summary_module.Source("bag", lost=("2 messages of /image",), clock_offset_s=12.0)
    return summary_module.Summary(
        3, 0, 0.3, level, {"lidar_support": 2, "box_motion": 0}, {}, {}, [], {}, {}, 0.1, 3.0, source
    )


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch):
    """Catch what the command asks of `replay` and answer with a level."""
    asked: dict[str, object] = {"level": Level.NOMINAL}

    def fake(bag: Path, **options: object) -> summary_module.Summary:
        asked.update(options, bag=bag)
        return summary(Level(asked["level"]))  # type: ignore[call-overload]

    monkeypatch.setattr("edgeguard.replay.replay", fake)
    return asked


@pytest.mark.parametrize(("level", "code"), [(Level.NOMINAL, 0), (Level.CAUTION, 0), (Level.FAIL_SAFE, 3)])
def test_exit_code_is_the_drives_level(replayed: dict[str, object], level: Level, code: int) -> None:
    replayed["level"] = level
    done = CliRunner().invoke(app, ["replay", "some/bag"])
    assert done.exit_code == code
    assert level.name in done.stdout
    assert "lidar_support 2" in done.stdout and "box_motion" not in done.stdout


def test_losses_are_told(replayed: dict[str, object]) -> None:
    done = CliRunner().invoke(app, ["replay", "some/bag"])
    assert "2 messages of /image" in done.stderr
    assert "12.000 s" in done.stderr


@pytest.mark.parametrize(
    ("bag", "out"),
    [
        ("drives/a", "a_edgeguard"),
        ("drives/a/", "a_edgeguard"),
        ("a.mcap", "a_edgeguard"),
        ("a_0.db3.zstd", "a_0_edgeguard"),
    ],
)
def test_results_go_beside_the_user_under_the_bags_name(
    replayed: dict[str, object], bag: str, out: str
) -> None:
    CliRunner().invoke(app, ["replay", bag])
    assert replayed["out"] == Path(out)


def test_options_are_handed_on(replayed: dict[str, object], tmp_path: Path) -> None:
    params = tmp_path / "p.yaml"
    params.write_text("/**/perception_node: {ros__parameters: {engine: other}}")
    args = ["--params", str(params), "--engine", "e", "--out", "o", "--partial"]
    topics = ["--topic", "camera=/a", "--topic", "lidar=/b"]
    CliRunner().invoke(app, ["replay", "bag", *args, *topics])
    assert replayed["engine"] == "e" and replayed["partial"] is True and replayed["out"] == Path("o")
    assert replayed["topics"] == {"camera": "/a", "lidar": "/b"}
    assert replayed["settings"].engine == "other"  # type: ignore[attr-defined]


@pytest.mark.parametrize("topic", ["camera", "=/a", "camera="])
def test_a_topic_without_channel_or_name_is_refused(topic: str) -> None:
    done = CliRunner().invoke(app, ["replay", "bag", "--topic", topic])
    assert isinstance(done.exception, EdgeGuardError)
    assert "CHANNEL=TOPIC" in str(done.exception)


def test_a_real_recording(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["replay", str(shared / TRACKING)])
    told = json.loads((tmp_path / "kitti_0000_edgeguard/summary.json").read_text())
    assert told["frames"] == 154
    assert done.exit_code == (3 if told["level"] == "FAIL_SAFE" else 0)
    assert "kitti_0000_edgeguard/report.html" in done.stdout


def test_several_recordings_are_replayed_side_by_side_and_a_bad_one_costs_no_other(
    shared: Path, tmp_path: Path
) -> None:
    bags = [shared / "data/kitti_tracking" / name for name in ("kitti_0012", "kitti_0014")]
    (tmp_path / "empty").mkdir()
    args = [*map(str, bags), str(tmp_path / "empty"), "--out", str(tmp_path / "out"), "--jobs", "2"]
    command = [sys.executable, "-c", "from edgeguard.cli.app import main; main()", "replay"]
    done = subprocess.run([*command, *args], capture_output=True, text=True)
    assert done.returncode == 2 and str(tmp_path / "empty") in done.stderr
    for bag in bags:
        assert (tmp_path / "out" / bag.name / "report.html").exists()
    alone = CliRunner().invoke(app, ["replay", str(bags[0]), "--out", str(tmp_path / "alone")])
    assert alone.exit_code == 0
    events = [(tmp_path / folder / "events.jsonl").read_bytes() for folder in ("out/kitti_0012", "alone")]
    assert events[0] == events[1]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="forks only where threads can be counted")
@pytest.mark.parametrize(
    ("before", "method"), [("pass", "fork"), ("threading.Thread(target=done.wait).start()", "spawn")]
)
def test_only_a_process_without_threads_is_forked(before: str, method: str) -> None:
    script = f"""
import threading
from edgeguard.cli.replay import _processes
done = threading.Event()
{before}
print(_processes().get_start_method())
done.set()
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == method


def test_two_recordings_of_one_name_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "a/drive"), str(tmp_path / "b/drive")])
    assert isinstance(done.exception, EdgeGuardError)
    assert "one name" in str(done.exception)
