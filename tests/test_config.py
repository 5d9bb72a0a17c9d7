"""Parameter files: what they may say, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from edgeguard import config
from edgeguard.assembler import AssemblerSettings
from edgeguard.config import Settings, entries, flatten, read_parameters, render, updated, validate
from edgeguard.errors import ParameterError
from edgeguard.monitor import MonitorSettings


class Inner(Settings):
    range_m: float = Field(40.0, gt=0, le=300, description="range, m")


class Outer(Settings):
    inner: Inner = Inner()
    count: int = Field(3, ge=1, description="how many")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    return path


def test_sections_apply_in_order_and_dotted_names_are_nested(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "/**: {ros__parameters: {count: 5, inner.range_m: 10.0}}\n"
        "/front/monitor_node: {ros__parameters: {inner: {range_m: 20.0}}}\n"
        "other_node: {ros__parameters: {count: 9}}\n",
    )
    assert read_parameters(path, "monitor_node") == {"count": 5, "inner": {"range_m": 20.0}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "ros__parameters"),
        ("monitor_node: {count: 1}", "ros__parameters"),
    ],
)
def test_a_file_that_is_no_parameter_file_says_so(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        read_parameters(write(tmp_path, text), "monitor_node")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"(?s)none\.yaml.*cannot be read"):
        read_parameters(tmp_path / "none.yaml", "monitor_node")


def test_every_problem_is_told_at_once_with_value_bound_and_nearest_key() -> None:
    with pytest.raises(ParameterError) as e:
        validate(Outer, {"inner": {"range": 3.0, "range_m": -1.0}, "count": 0}, "here.yaml")
    text = str(e.value)
    assert "here.yaml: 3 invalid parameter(s)" in text
    assert "inner.range: unknown key; did you mean inner.range_m?" in text
    assert "inner.range_m = -1.0" in text and "greater than 0" in text
    assert "count = 0" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(ParameterError):
        validate(Inner, {"range_m": value}, "here")


def test_a_change_is_validated_as_a_whole_and_leaves_the_old_set_alone() -> None:
    before = Outer()
    after = updated(before, {"inner.range_m": 12.0, "count": 4}, "here")
    assert (after.inner.range_m, after.count) == (12.0, 4)
    assert (before.inner.range_m, before.count) == (40.0, 3)
    with pytest.raises(ParameterError, match=r"count = 0"):
        updated(before, {"inner.range_m": 12.0, "count": 0}, "here")


@given(st.floats(0.1, 300.0), st.integers(1, 10**6))
def test_flattened_settings_come_back_the_same(range_m: float, count: int) -> None:
    settings = Outer(inner=Inner(range_m=range_m), count=count)
    assert validate(Outer, config._unflatten(flatten(settings)), "here") == settings


@given(st.floats(0.1, 300.0), st.integers(1, 10**6))
def test_a_rendered_file_reads_back_the_same(range_m: float, count: int) -> None:
    settings = Outer(inner=Inner(range_m=range_m), count=count)
    document = yaml.safe_load(render({"monitor_node": entries(settings)}))
    assert validate(Outer, document["/**/monitor_node"]["ros__parameters"], "here") == settings


def test_every_key_stands_under_its_meaning_default_and_bounds() -> None:
    text = render({"monitor_node": entries(Outer())})
    assert "# range, m (default 40.0, > 0, <= 300)\n      range_m: 40.0" in text


def test_every_parameter_of_the_monitor_says_what_it_is() -> None:
    for entry in (*entries(AssemblerSettings()), *entries(MonitorSettings())):
        assert len(entry.comment.split("(default")[0]) > 10, entry.path
