"""ROS 2 parameter files to validated settings; the only place that reads parameter YAML.

A component declares what it can be told as a `Settings` model beside its code. Field names carry the
unit; bounds and a description stand in the field. A ROS parameter's name is the path of fields, joined
with dots: `checks.lidar_support.min_expected_points`.
"""

from __future__ import annotations

import difflib
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from edgeguard.errors import ParameterError

Value = bool | int | float | str | list[Any]


class Settings(BaseModel):
    """Base of all settings: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


S = TypeVar("S", bound=Settings)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        ParameterError: the file is missing or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ParameterError(path, [f"cannot be read: {e.strerror or e}"]) from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ParameterError(path, [f"is not YAML: {e}"]) from e


def read_parameters(path: Path, node: str) -> dict[str, Any]:
    """Return what a parameter file says to a node, nested, unvalidated.

    Sections apply in the order of the file, as in ROS 2: `/**`, `node`, `/ns/node`, `/**/node`.

    Raises:
        ParameterError: the file is missing, not YAML, or not shaped as a parameter file.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ParameterError(path, ["expected `NODE: {ros__parameters: {…}}` at the top"])
    merged: dict[str, Any] = {}
    for section, body in document.items():
        if not isinstance(body, dict) or not isinstance(body.get("ros__parameters"), dict):
            raise ParameterError(path, [f"{section}: expected a `ros__parameters` mapping below it"])
        if str(section) == "/**" or str(section).rsplit("/", 1)[-1] == node:
            _merge(merged, _unflatten(body["ros__parameters"]))
    return merged


def validate(model: type[S], values: Mapping[str, Any], where: str | Path) -> S:
    """Return `values` as settings.

    Raises:
        ParameterError: names every wrong key with its value and bound, and for an unknown key the nearest
            known one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as e:
        known = dict(_leaves(model))
        problems = []
        for error in e.errors():
            key = ".".join(str(p) for p in error["loc"])
            if error["type"] == "extra_forbidden":
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
                problems.append(f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else ""))
            else:
                problems.append(f"{key} = {error['input']!r}: {error['msg']}")
        raise ParameterError(where, problems) from e


def load(model: type[S], path: Path, node: str) -> S:
    """Read and validate what `path` says to `node`."""
    return validate(model, read_parameters(path, node), path)


def flatten(settings: Settings, prefix: str = "") -> dict[str, Value]:
    """Return the settings as ROS parameters: dotted names to values, in declaration order."""
    flat: dict[str, Value] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Settings):
            flat.update(flatten(value, f"{prefix}{name}."))
        elif isinstance(value, tuple):
            flat[prefix + name] = list(value)
        else:
            flat[prefix + name] = value
    return flat


def updated(settings: S, changes: Mapping[str, Any], where: str | Path) -> S:
    """Return the settings with some dotted names changed, all validated together.

    Raises:
        ParameterError: a name or value is not valid; nothing is changed.
    """
    values: dict[str, Any] = settings.model_dump()
    _merge(values, _unflatten(dict(changes)))
    return validate(type(settings), values, where)


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        inner = _model_of(info.annotation)
        if inner is None:
            yield prefix + name, info
        else:
            yield from _leaves(inner, f"{prefix}{name}.")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((m for a in typing.get_args(annotation) if (m := _model_of(a))), None)
    return None


def _unflatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` and `{"a": {"b": 1}}` are the same to ROS."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = str(key).split(".")
        if isinstance(value, Mapping):
            value = _unflatten(value)
        for part in reversed(path):
            last, value = part, {last: value}
        _merge(nested, {last: value})
    return nested


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


class Entry(typing.NamedTuple):
    """One parameter of a file: its path, value, and what to say of it."""

    path: tuple[str, ...]
    value: Value
    comment: str


def entries(settings: Settings, prefix: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Yield the settings as commented parameters, in declaration order."""
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from entries(value, (*prefix, name))
            continue
        bounds = [
            f"{sign} {getattr(m, key):g}" for m in info.metadata for key, sign in _SIGNS if hasattr(m, key)
        ]
        if typing.get_origin(info.annotation) is typing.Literal:
            bounds = [" | ".join(map(str, typing.get_args(info.annotation)))]
        extra = f"default {_scalar(info.default)}" + "".join(f", {b}" for b in bounds)
        yield Entry((*prefix, name), value, f"{info.description} ({extra})")


def render(sections: Mapping[str, typing.Iterable[Entry]]) -> str:
    """Return a ROS 2 parameter file: per node, each key under a comment with meaning, default and bounds."""
    lines: list[str] = []
    for node, content in sections.items():
        lines += [f"/**/{node}:", "  ros__parameters:"]
        open_path: tuple[str, ...] = ()
        for entry in content:
            *groups, key = entry.path
            common = 0
            while common < min(len(groups), len(open_path)) and groups[common] == open_path[common]:
                common += 1
            lines += ["  " * (depth + 2) + f"{groups[depth]}:" for depth in range(common, len(groups))]
            open_path = tuple(groups)
            indent = "  " * (len(groups) + 2)
            lines += textwrap.wrap(
                entry.comment, 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
            )
            lines.append(f"{indent}{key}: {_scalar(entry.value)}")
        lines.append("")
    return "\n".join(lines)


_SIGNS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


def _scalar(value: Any) -> str:
    # JSON is YAML; a ROS double must show its point, which JSON floats do.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
