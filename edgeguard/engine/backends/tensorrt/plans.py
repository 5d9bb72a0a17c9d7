"""Plans on disk: what a plan is good for, where it lies, and how it gets there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeguard.engine.backends.tensorrt.api import Api
from edgeguard.engine.spec import LoadedSpec
from edgeguard.engine.weights import sha256
from edgeguard.errors import EngineError

CACHE_VARIABLE = "EDGEGUARD_CACHE"
MANIFEST_SCHEMA = 1


@dataclass(frozen=True)
class PlanKey:
    """What a plan was built from, with and for. A plan whose key differs in anything is another plan.

    Attributes:
        onnx_sha256: of the weights file.
        tensorrt: module and full version.
        gpu: name of the GPU; for TensorRT-RTX `any`, as its plans are finished where they run.
        compute_capability: of that GPU, as `8.7`; for TensorRT-RTX `any`.
        options: every build option, and the input's size.
    """

    onnx_sha256: str
    tensorrt: str
    gpu: str
    compute_capability: str
    options: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the key, as hex."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def plan_key(loaded: LoadedSpec, weights: Path, api: Api, gpu: tuple[str, str]) -> PlanKey:
    """Return the key of an engine's plan on a machine with this GPU (name, compute capability)."""
    options = loaded.spec.tensorrt.model_dump()
    options |= {"width": loaded.spec.input.width, "height": loaded.spec.input.height}
    options |= {"constants": sorted(loaded.spec.input.constants)}
    gpu = ("any", "any") if api.rtx else gpu
    return PlanKey(sha256(weights), api.name, gpu[0], gpu[1], options)


def cache_folder() -> Path:
    """Return the folder of plans: `EDGEGUARD_CACHE`, else `edgeguard` in the user's cache."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeguard"


def plan_path(loaded: LoadedSpec, key: PlanKey) -> Path:
    """Return where the plan of this key lies; its manifest lies beside it with the suffix `.json`."""
    return cache_folder() / "plans" / f"{loaded.name}-{key.digest[:16]}.plan"


def timing_cache_path(key: PlanKey) -> Path:
    """Return where measured kernel times of this TensorRT on this GPU are kept."""
    who = hashlib.sha256(f"{key.tensorrt} {key.gpu} {key.compute_capability}".encode()).hexdigest()[:16]
    return cache_folder() / f"timing-{who}.cache"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that at any moment there is the old one or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # mkstemp's are for its maker alone; a plan is for whoever runs the node.
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def store_plan(path: Path, plan: bytes, key: PlanKey, facts: dict[str, Any]) -> None:
    """Write a plan and then its manifest: a plan without a matching manifest is no plan."""
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomically(path, plan)
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "plan_sha256": hashlib.sha256(plan).hexdigest(),
        "key": asdict(key),
    }
    text = json.dumps({**manifest, **facts}, indent=2, sort_keys=True) + "\n"
    write_atomically(path.with_suffix(".json"), text.encode())


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest beside a plan, or None where there is none that can be read."""
    try:
        manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("schema") == MANIFEST_SCHEMA else None


def load_plan(loaded: LoadedSpec, key: PlanKey) -> bytes:
    """Return the plan of this key, proven to be the one that was built for it.

    Raises:
        EngineError: none was built for this key, or it is damaged; names the command that builds it.
    """
    path = plan_path(loaded, key)
    remedy = f"Run `edgeguard engine build {loaded.reference}` on this machine."
    if not path.is_file():
        raise EngineError(loaded.name, _why_unbuilt(loaded, key), remedy)
    plan = path.read_bytes()
    if problem := mismatch(plan, read_manifest(path), key):
        raise EngineError(loaded.name, f"the plan {path} {problem}", remedy)
    return plan


def mismatch(plan: bytes, manifest: dict[str, Any] | None, key: PlanKey) -> str:
    """Return why a plan must not be loaded for this key; empty where it may."""
    if manifest is None:
        return "has no readable manifest beside it"
    if manifest.get("key") != json.loads(json.dumps(asdict(key))):
        return "was built for something else: " + _difference(manifest.get("key"), key)
    if manifest.get("plan_sha256") != hashlib.sha256(plan).hexdigest():
        return "is damaged: its SHA-256 is not its manifest's"
    return ""


def _difference(built: Any, key: PlanKey) -> str:
    built = built if isinstance(built, dict) else {}
    wanted = asdict(key)
    return "; ".join(f"{k} {built.get(k)!r}, needed {v!r}" for k, v in wanted.items() if built.get(k) != v)


def _why_unbuilt(loaded: LoadedSpec, key: PlanKey) -> str:
    """Name what the nearest plan of this engine differs in: a new board or JetPack is what people forget."""
    manifests = [read_manifest(p) for p in sorted((cache_folder() / "plans").glob(f"{loaded.name}-*.plan"))]
    built = [m["key"] for m in manifests if m and isinstance(m.get("key"), dict)]
    text = f"is not built for {key.tensorrt} on {key.gpu} ({key.compute_capability})"
    if not built:
        return text
    wanted = asdict(key)
    nearest = max(built, key=lambda k: sum(k.get(name) == value for name, value in wanted.items()))
    return f"{text}; a plan that differs is there: {_difference(nearest, key)}"
