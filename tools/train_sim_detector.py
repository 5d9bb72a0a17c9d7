"""Trains the small detector of the simulated world and writes engines/sim_detector.

    nice python tools/train_sim_detector.py [--out engines/sim_detector]

An anchor-free network after Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430, slimmed:
plain convolutions, one head a level, positives by distance to the middle instead of SimOTA. It sees the
world's scenes of seeds 1000 and up; seeds below are for judging it, and for everything that is shown or
measured with it. One thread and fixed seeds: the same machine gives the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeguard.engine import open_engine
from edgeguard.sim.samples import Sample, average_precision, sample_scene
from edgeguard.sim.scenes import SCENES
from edgeguard.types import Image

LABELS = ("car", "person", "stop sign")
VEHICLES = frozenset({"car"})
WIDTH, HEIGHT = 512, 288
CROP = (320, 192)
"""Width and height of what is trained on, out of the input: cheaper, and a picture makes several."""
STRIDES = (8, 16, 32)
REACH = ((0, 44), (36, 120), (96, 9999))
"""Longer side of the boxes that each level answers for, pixels of the input."""
FIRST_SEED = 1000
HELD_OUT = range(900, 906)
UNSEEN_SCENES = frozenset({"billboard"})
"""Neither trained nor judged on: a network that has learnt what a billboard is would be no test of one."""
OFTEN = ("crowd", "crossing_person", "stop_junction")
"""Scenes that training takes twice: those with people and signs."""
WEIGHTS = (1.0, 2.0, 3.0)
"""Of each label in the loss. What is rare and small has few cells to be learnt by."""
RARE_M = 35.0
"""To this range, people and signs draw crops to themselves."""
LEAST_VISIBLE = 0.35
"""Of what shows less the network is neither asked to find nor to miss it."""
BATCH = 8


def grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 2) columns and rows of the cells of a picture of that size, and (N,) their strides."""
    cells = [np.stack(np.mgrid[: height // s, : width // s][::-1], -1).reshape(-1, 2) for s in STRIDES]
    strides = [np.full(len(c), s) for c, s in zip(cells, STRIDES)]
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


CELLS, STRIDE = grid(*CROP)


def conv(inner: int, outer: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, size, stride, size // 2, bias=False), nn.BatchNorm2d(outer), nn.ReLU()
    )


class Network(nn.Module):
    """(B, 3, H, W) BGR, 0 to 1, to (B, cells, 5 + classes): YOLOX's head, scores as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 12, 3, 2), conv(12, 24, 3, 2), conv(24, 24))
        self.down = nn.ModuleList(
            [
                nn.Sequential(conv(24, 40, 3, 2), conv(40, 40), conv(40, 40)),
                nn.Sequential(conv(40, 56, 3, 2), conv(56, 56), conv(56, 56)),
                nn.Sequential(conv(56, 80, 3, 2), conv(80, 80)),
            ]
        )
        self.side = nn.ModuleList([nn.Conv2d(80, 56, 1), nn.Conv2d(56, 40, 1)])
        self.head = nn.ModuleList([conv(c, 48) for c in (40, 56, 80)])
        self.out = nn.ModuleList([nn.Conv2d(48, 5 + len(LABELS), 1) for _ in STRIDES])
        for out in self.out:
            nn.init.constant_(out.bias[4:], -4.6)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        levels[1] = levels[1] + functional.interpolate(self.side[0](levels[2]), scale_factor=2.0)
        levels[0] = levels[0] + functional.interpolate(self.side[1](levels[1]), scale_factor=2.0)
        maps = [out(head(level)) for out, head, level in zip(self.out, self.head, levels)]
        # Sizes as numbers: a graph without arithmetic on shapes.
        rows = [m.reshape(-1, 5 + len(LABELS), int(m.shape[2]) * int(m.shape[3])) for m in maps]
        return torch.cat(rows, 2).transpose(1, 2)


class Exported(nn.Module):
    """The network as the engine runs it: 0 to 255 in, scores as probabilities out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        with torch.no_grad():
            network.stem[0][0].weight /= 255.0  # type: ignore[index,operator]

    def forward(self, x: Tensor) -> Tensor:
        raw = self.network(x)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], 2)


def judged_scenes() -> list[str]:
    return sorted(set(SCENES) - UNSEEN_SCENES)


def samples(scenes: int, frames: int, cache: Path | None) -> list[Sample]:
    """Return frames of the training seeds, every scene in turn."""
    if cache is not None and cache.is_file():
        return list(pickle.loads(cache.read_bytes()))
    names = [*judged_scenes(), *OFTEN]
    out = [
        sample
        for i in range(scenes)
        for sample in sample_scene(names[i % len(names)], FIRST_SEED + i, frames)
    ]
    if cache is not None:
        cache.write_bytes(pickle.dumps(out))
    return out


def rare_boxes(sample: Sample, labels: tuple[str, ...] = LABELS) -> np.ndarray:
    """Return the (N, 4) boxes of what is no car, of `labels`, close and seen."""
    named = np.array([label in labels[1:] for label in sample.labels], bool)
    return sample.xyxy[named & (sample.range_m < RARE_M) & (sample.visible > LEAST_VISIBLE)]


def augmented(
    sample: Sample, rng: np.random.Generator, labels: tuple[str, ...] = LABELS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture, (3, H, W) float32 0 to 1, and (N, 6): box in the input, class, visible share."""
    bgr = sample.bgr
    h, w = bgr.shape[:2]
    zoom = float(np.exp(rng.uniform(np.log(0.7), np.log(1.4)))) if rng.random() < 0.6 else 1.0
    scale = WIDTH / w * zoom
    # Road and horizon are where things are; the sky is cropped away more often than not.
    spare = np.array([w * scale - CROP[0], h * scale - CROP[1]])
    shift = -spare * (rng.uniform(0, 1), rng.uniform(0.35, 1))
    rare = rare_boxes(sample, labels)
    if len(rare) and rng.random() < 0.6:
        middle = (rare[int(rng.integers(len(rare)))].reshape(2, 2) * scale).mean(0)
        wanted = rng.uniform(0.1, 0.9, 2) * CROP - middle
        shift = np.clip(wanted, np.minimum(-spare, 0), np.maximum(-spare, 0))
    flip = rng.random() < 0.5
    matrix = np.array([[scale, 0, shift[0] + (scale - 1) / 2], [0, scale, shift[1] + (scale - 1) / 2]])
    if flip:
        matrix[0] = [-scale, 0, CROP[0] - 1 - matrix[0, 2]]
    picture = cv2.warpAffine(bgr, matrix, CROP, flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114)).astype(
        np.float32
    )
    picture = picture * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    picture = 255 * np.clip(picture / 255, 0, 1) ** float(np.exp(rng.uniform(-0.35, 0.35)))
    picture = picture * rng.uniform(0.65, 1.25) + rng.uniform(-18, 18)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.2)))
    picture += cv2.randn(np.empty(picture.shape, np.float32), 0, float(rng.uniform(0, 5)))
    boxes = sample.xyxy * scale + np.tile(shift, 2)
    if flip:
        boxes[:, [0, 2]] = CROP[0] - boxes[:, [2, 0]]
    whole = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    boxes = np.clip(boxes, 0, [*CROP, *CROP])
    size = boxes[:, 2:] - boxes[:, :2]
    shown = size.prod(1) / whole
    known = np.array([labels.index(label) if label in labels else -1 for label in sample.labels])
    keep = (size.min(1) > 3) & (shown > 0.12) & (known >= 0)
    table = np.column_stack([boxes, known, sample.visible * np.minimum(2 * shown, 1)])[keep]
    return np.clip(picture / 255, 0, 1).transpose(2, 0, 1), table


def targets(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per cell the row of `table` that it answers for, or -1, and whether it is asked at all."""
    row, asked = np.full(len(CELLS), -1), np.ones(len(CELLS), bool)
    middle = (CELLS + 0.5) * STRIDE[:, None]
    for i, (x0, y0, x1, y1, _, visible) in enumerate(table):
        away = np.abs(middle - ((x0 + x1) / 2, (y0 + y1) / 2))
        # A figure narrower than a cell has more cells than the one that it falls into.
        inside = (away < np.maximum(((x1 - x0) / 2, (y1 - y0) / 2), 0.75 * STRIDE[:, None])).all(1)
        off = away.max(1) / STRIDE
        side = max(x1 - x0, y1 - y0)
        level = np.isin(STRIDE, [s for s, (low, high) in zip(STRIDES, REACH) if low <= side < high])
        mine = level & (off < 1.5) & inside
        if visible < LEAST_VISIBLE:
            asked[inside | mine] = False
        else:
            # What is nearer comes later, and has what it hides.
            row[mine], asked[mine] = i, True
    return row, asked


def loss(raw: Tensor, tables: list[np.ndarray]) -> Tensor:
    """Return the loss of a batch, per positive cell, each label by its weight."""
    both = [targets(t) for t in tables]
    row = torch.from_numpy(np.stack([b[0] for b in both]))
    asked = torch.from_numpy(np.stack([b[1] for b in both]))
    image, cell = torch.nonzero(row >= 0, as_tuple=True)
    truth = torch.stack(
        [torch.from_numpy(tables[i][row[i, c]]).float() for i, c in zip(image.tolist(), cell.tolist())]
    )
    weight = torch.tensor(WEIGHTS)[truth[:, 4].long()]
    objectness = functional.binary_cross_entropy_with_logits(
        raw[..., 4], (row >= 0).float(), reduction="none"
    )
    asked_by = asked.float().index_put((image, cell), weight)
    p, cells, stride = raw[image, cell], torch.from_numpy(CELLS)[cell], torch.from_numpy(STRIDE)[cell, None]
    middle = (truth[:, :2] + truth[:, 2:4]) / 2 / stride - cells
    size = torch.log((truth[:, 2:4] - truth[:, :2]) / stride)
    plain = functional.smooth_l1_loss(p[:, :4], torch.cat([middle, size], 1), beta=0.1, reduction="none")
    at, half = (p[:, :2] + cells) * stride, p[:, 2:4].clamp(max=5).exp() * stride / 2
    overlap = 1 - giou(torch.cat([at - half, at + half], 1), truth[:, :4])
    name = functional.one_hot(truth[:, 4].long(), len(LABELS)).float()
    classes = functional.binary_cross_entropy_with_logits(p[:, 5:], name, reduction="none")
    each = 3 * overlap + plain.sum(1) + classes.sum(1)
    return ((objectness * asked_by).sum() + (each * weight).sum()) / weight.sum()


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU of paired boxes (Rezatofighi et al., CVPR 2019)."""
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - common
    return common / union - (hull - union) / hull


def batches(
    data: list[Sample], rng: np.random.Generator, labels: tuple[str, ...] = LABELS
) -> Iterator[tuple[Tensor, list[np.ndarray]]]:
    often = [k for k, sample in enumerate(data) if len(rare_boxes(sample, labels))]
    while True:
        order = rng.permutation([*range(len(data)), *often])
        for i in range(0, len(order) - BATCH + 1, BATCH):
            pairs = [augmented(data[k], rng, labels) for k in order[i : i + BATCH]]
            if sum(len(t) for _, t in pairs):
                yield (
                    torch.from_numpy(np.stack([p for p, _ in pairs]).astype(np.float32)),
                    [t for _, t in pairs],
                )


def train(network: Network, data: list[Sample], steps: int, *, peak: float = 3e-3, seed: int = 0) -> Network:
    """Train for a number of batches; return the running average of the weights."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=steps, pct_start=0.08)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    began, stream = time.process_time(), batches(data, np.random.default_rng(seed))
    for step in range(steps):
        pictures, tables = next(stream)
        network.train()
        value = loss(network(pictures), tables)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        if step % 50 == 49:
            spent = time.process_time() - began
            print(f"{step + 1}/{steps}  loss {value.item():.3f}  {spent:.0f} s", flush=True)
    out: Network = average.module
    return out.eval()


def export(network: Network, out: Path, note: str) -> None:
    """Write weights, labels and specification of an engine."""
    out.mkdir(parents=True, exist_ok=True)
    model = out / "sim_detector.onnx"
    torch.onnx.export(
        Exported(network).eval(),
        (torch.zeros(1, 3, HEIGHT, WIDTH),),
        str(model),
        input_names=["images"],
        output_names=["output"],
        dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        opset_version=13,
        dynamo=False,
    )
    (out / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    (out / "engine.yaml").write_text(SPEC.format(digest=digest, note=note))


SPEC = """\
# A small detector of EdgeGuard's own simulated world: docs/sim_detector.md. Written by
# tools/train_sim_detector.py. {note}
description: small detector of the simulated world
licence: Apache-2.0 (EdgeGuard)
weights:
  file: sim_detector.onnx
  sha256: {digest}
input:
  width: 512
  height: 288
  colour: bgr
  resize: {{rule: letterbox, pad: 114, align: top-left}}
decoder: yolox
classes: labels.txt
thresholds: {{score: 0.3, nms_iou: 0.5, max_detections: 100}}
"""


def held_out() -> dict[str, list[Sample]]:
    """Return frames that training never saw, by scene."""
    return {name: [s for seed in HELD_OUT for s in sample_scene(name, seed, 12)] for name in judged_scenes()}


def accuracy(engine: Path, held: dict[str, list[Sample]]) -> dict[str, float]:
    """Return AP50 of vehicles, people and signs that show half of themselves or more."""
    detector = open_engine(engine)
    truth = [s for samples in held.values() for s in samples]
    found = [detector.detect(Image(0, "", s.bgr)) for s in truth]
    asked = {"vehicles to 40 m": (VEHICLES, 40.0), "people to 25 m": (frozenset({"person"}), 25.0)}
    asked["stop signs to 30 m"] = (frozenset({"stop sign"}), 30.0)
    return {
        what: round(average_precision(found, truth, labels, within_m=reach, visible=0.5), 4)
        for what, (labels, reach) in asked.items()
    }


def fix_chance() -> None:
    """Make what is drawn and learnt from here on the same each time: fixed seeds, sums in one order."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    torch.manual_seed(0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--scenes", type=int, default=78, help="seeds to draw")
    options.add_argument("--frames", type=int, default=12, help="frames of each")
    options.add_argument("--steps", type=int, default=2200, help="batches of 8")
    options.add_argument("--out", type=Path, default=Path("engines/sim_detector"))
    options.add_argument("--cache", type=Path, help="keep the rendered frames here")
    given = options.parse_args()
    fix_chance()
    began = time.process_time()
    data = samples(given.scenes, given.frames, given.cache)
    print(f"{len(data)} frames, {time.process_time() - began:.0f} s", flush=True)
    network = train(Network(), data, given.steps)
    export(network, given.out, "")
    found = accuracy(given.out, held_out())
    note = ", ".join(f"{what} {value:.3f}" for what, value in found.items() if not math.isnan(value))
    spec = given.out / "engine.yaml"
    spec.write_text(spec.read_text().replace("detector.py. \n", f"detector.py.\n# AP50, held out: {note}.\n"))
    print(f"AP50 {note}; {time.process_time() - began:.0f} s in all")


if __name__ == "__main__":
    main()
