"""Builds vision_msgs and tf2_msgs into this virtual environment, where its ROS 2 wheels lack them.

Does nothing where a ROS 2 has them already, where there is no ROS 2, and where it has built them before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "tests" / "ros_nodes" / "interfaces"
PACKAGES = ("tf2_msgs", "vision_msgs")


def main() -> int:
    if importlib.util.find_spec("rclpy") is None:
        print("No ROS 2 in this environment: its tests will skip, and no interface packages are needed.")
        return 0
    prefix = Path(sys.prefix)
    stamp = prefix / "share" / "edgeguard_test_interfaces.sha256"
    digest = _digest()
    if stamp.is_file():
        if stamp.read_text() == digest:
            return 0
    elif all(importlib.util.find_spec(name) for name in PACKAGES):
        return 0
    for name in PACKAGES:
        _build(name, prefix)
    stamp.write_text(digest)
    return 0


def _digest() -> str:
    files = sorted(p for p in SOURCES.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def _build(name: str, prefix: Path) -> None:
    cmake = shutil.which("cmake", path=f"{prefix / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if cmake is None:
        sys.exit("cmake is missing; `pip install -e '.[dev]'` brings it")
    print(f"Building {name} for the ROS 2 wheels in {prefix} …", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"edgeguard-{name}-") as folder:
        configure = [
            cmake, "-S", str(SOURCES / name), "-B", folder,
            f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DPython3_EXECUTABLE={sys.executable}", f"-DCMAKE_PROJECT_INCLUDE={SOURCES / 'wheels.cmake'}",
            "-DBUILD_TESTING=OFF",
        ]  # fmt: skip
        environment = {**os.environ, "AMENT_PREFIX_PATH": str(prefix)}
        environment["PATH"] = f"{prefix / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        for command in (configure, [cmake, "--build", folder, "-j", "2"], [cmake, "--install", folder]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
