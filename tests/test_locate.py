from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgeguard
from edgeguard.errors import EdgeGuardError
from edgeguard.locate import data_dir

SOURCE = Path(edgeguard.__file__).resolve().parent


def test_a_checkout_has_its_engines() -> None:
    assert (data_dir("engines") / "yolox_nano" / "engine.yaml").is_file()


def test_an_unknown_kind_names_every_place_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "ros"))
    with pytest.raises(EdgeGuardError) as e:
        data_dir("nothing")
    assert str(tmp_path / "ros" / "share" / "edgeguard" / "nothing") in str(e.value)
    assert str(Path(sys.prefix) / "share" / "edgeguard" / "nothing") in str(e.value)


def find_from(site: Path, **environment: str) -> str:
    """Ask a fresh Python that imports edgeguard from `site` where engines are."""
    code = f"import sys; sys.path.insert(0, {str(site)!r}); sys.prefix = '/nowhere'\n"
    code += "from edgeguard.locate import data_dir; print(data_dir('engines'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=site
    )
    return done.stdout.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """EdgeGuard as pip or colcon lays it out: returns the prefix."""
    site = tmp_path / "prefix" / "lib" / "python3" / "site-packages"
    shutil.copytree(SOURCE, site / "edgeguard", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "prefix"


def test_an_install_finds_its_prefix_and_not_a_stranger_in_site_packages(installed: Path) -> None:
    share = installed / "share" / "edgeguard" / "engines"
    share.mkdir(parents=True)
    site = installed / "lib" / "python3" / "site-packages"
    (site / "engines").mkdir()
    assert find_from(site) == str(share)


def test_an_overlay_is_found_through_ament(installed: Path, tmp_path: Path) -> None:
    share = tmp_path / "overlay" / "share" / "edgeguard" / "engines"
    share.mkdir(parents=True)
    site = installed / "lib" / "python3" / "site-packages"
    assert find_from(site, AMENT_PREFIX_PATH=f"/opt/none:{tmp_path / 'overlay'}") == str(share)
