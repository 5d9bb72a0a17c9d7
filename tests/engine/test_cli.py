from __future__ import annotations

import pytest
from typer.testing import CliRunner

from edgeguard.cli.engine import app


def test_list_names_engines_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_MODELS", "/no/such/folder")
    monkeypatch.setenv("COLUMNS", "300")
    done = CliRunner().invoke(app, ["list"])
    assert done.exit_code == 0
    assert "yolox_nano" in done.output
    assert "ssd_mobilenet_v2" in done.output
    assert "/no/such/folder" in done.output
