"""The command line as a process: exit codes, what goes to which stream, and what it loads."""

from __future__ import annotations

import subprocess
import sys

import edgeguard

RUN = [sys.executable, "-c", "from edgeguard.cli.app import main; main()"]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *args], capture_output=True, text=True, timeout=60)


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"edgeguard {edgeguard.__version__}\n")


def test_help_lists_the_commands_without_loading_what_they_need() -> None:
    code = (
        "import sys\n"
        "from edgeguard.cli.app import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'cv2', 'scipy', 'pydantic', 'rosbags', 'plotly'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "heavy: []" in done.stdout
    for command in ("replay", "attack", "engine", "demo"):
        assert command in done.stdout


def test_a_users_error_is_one_message_on_stderr_and_exit_code_2() -> None:
    done = run("replay", "/no/such/bag")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "/no/such/bag" in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_option_is_a_users_error_too() -> None:
    done = run("replay", "--nonsense", "x")
    assert done.returncode == 2 and "--nonsense" in done.stderr


def test_engine_commands_are_reached() -> None:
    done = run("engine", "list")
    assert done.returncode == 0 and "yolox_nano" in done.stdout
