"""The package as its users get it: from pip, and from colcon on a vehicle."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tests.conftest import ROOT

NODES = ("failsafe_node", "monitor_node", "perception_node")
LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "install", "log", "out", "*.egg-info", "__pycache__", "tests"
)
COMPILING_S = 400
"""Each of two tests compiles the module anew."""
SITE_PACKAGES = sysconfig.get_paths()["purelib"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: building leaves files behind."""
    copy = tmp_path_factory.mktemp("ws") / "src" / "edgeguard"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    return copy


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_data(share: Path) -> None:
    for name in ("engines/yolox_nano/engine.yaml", "config/monitor.param.yaml", "launch/edgeguard.launch.py"):
        assert (share / name).is_file(), name


@pytest.mark.timeout(COMPILING_S)
def test_pip_puts_the_command_on_path_and_the_data_beside_it(source: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source)
    (wheel,) = tmp_path.glob("edgeguard-*.whl")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    run(*pip, "--python", venv / "bin" / "python", "install", "-q", "--no-deps", "--no-index", wheel)
    version = run(venv / "bin" / "edgeguard", "--version", PYTHONPATH=SITE_PACKAGES)
    assert version.startswith("edgeguard ")
    assert all((venv / "bin" / name).is_file() for name in NODES)
    assert_data(venv / "share" / "edgeguard")


@pytest.mark.timeout(COMPILING_S)
# As all that has a participant of its own: tests/ros_nodes/conftest.py says why.
@pytest.mark.flaky(reruns=2)
@pytest.mark.skipif(importlib.util.find_spec("colcon_ros") is None, reason="colcon is not installed")
@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="no ROS 2 here: the node cannot run")
def test_colcon_builds_it_and_the_installed_node_runs(source: Path, tmp_path: Path) -> None:
    workspace = source.parents[1]
    run(
        *(sys.executable, "-m", "colcon", "--log-base", workspace / "log", "build"),
        *("--base-paths", workspace / "src", "--build-base", workspace / "build"),
        *("--install-base", workspace / "install"),
        AMENT_PREFIX_PATH=os.environ.get("AMENT_PREFIX_PATH", sys.prefix),
        PYTHONWARNINGS="ignore",
    )
    prefix = workspace / "install" / "edgeguard"
    assert_data(prefix / "share" / "edgeguard")
    assert (prefix / "share" / "ament_index" / "resource_index" / "packages" / "edgeguard").is_file()
    executables = prefix / "lib" / "edgeguard"
    assert {*NODES, "edgeguard"} <= {p.name for p in executables.iterdir()}

    from std_msgs.msg import Bool

    from tests.ros_nodes.live import Listener

    listener = Listener()
    stops = listener.listen(Bool, "/output/fail_safe")
    # A sourced workspace, away from the checkout: what runs is what was installed.
    script = f'source "{workspace}/install/setup.bash" && exec "{executables}/failsafe_node"'
    node = subprocess.Popen(["bash", "-c", script], cwd=tmp_path)
    try:
        listener.wait_for(lambda: stops and stops[-1].data)
    finally:
        node.terminate()
        node.wait(10)
        listener.close()


def test_the_manifest_agrees_with_the_metadata() -> None:
    manifest = xml.etree.ElementTree.parse(ROOT / "package.xml").getroot()
    metadata = (ROOT / "setup.cfg").read_text()
    import edgeguard

    versions = {
        manifest.findtext("version"),
        re.search(r"^version = (.+)$", metadata, re.M).group(1),
        edgeguard.__version__,
    }
    assert len(versions) == 1, versions
    assert manifest.findtext("license") == "Apache-2.0"
    assert manifest.findtext("export/build_type") == "ament_python"


def test_every_ros_package_that_the_nodes_import_is_declared() -> None:
    declared = {e.text for e in xml.etree.ElementTree.parse(ROOT / "package.xml").iter("exec_depend")}
    sources = [*(ROOT / "ros_nodes").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    pattern = re.compile(r"^\s*(?:from|import) (rclpy|launch|launch_ros|\w+_msgs|\w+_srvs)\b", re.M)
    imported = {name for path in sources for name in pattern.findall(path.read_text())}
    assert imported <= declared | {"rcl_interfaces"}, imported - declared
