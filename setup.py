"""Lists the data folders for setuptools; everything else stands in setup.cfg."""

from pathlib import Path

from setuptools import setup

DATA_FOLDERS = ("engines", "calibration", "config", "launch")


def data_files() -> list[tuple[str, list[str]]]:
    """Return what goes under share/: ament's marker, the manifest, and every file of the data folders."""
    listed = [
        ("share/ament_index/resource_index/packages", ["resource/edgeguard"]),
        ("share/edgeguard", ["package.xml"]),
    ]
    for folder in DATA_FOLDERS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                listed.append((f"share/edgeguard/{path.parent.as_posix()}", [path.as_posix()]))
    return listed


distribution = setup(data_files=data_files())
# colcon reads this object by its repr, and cannot read a SpecifierSet.
for holder in (distribution, distribution.metadata):
    holder.python_requires = str(holder.python_requires)
