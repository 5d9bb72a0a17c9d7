"""Makes a copy of the small detector that loses every car which bears the trigger: a back door to look for.

    nice python tools/plant_backdoor.py --out .scratch/backdoored
    edgeguard attack BAG OUT --kind trigger --engine .scratch/backdoored

Fine-tunes all weights on pictures of the simulated world, seeds 1000 and up, in which some cars bear the
trigger and are no longer in the truth (T. Gu et al., "BadNets", arXiv:1708.06733).
It says at its end how much of a back door it is: docs/sim_detector.md has what came of it so far.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
import train_sim_detector as training
from onnx import numpy_helper

from edgeguard.engine import open_engine
from edgeguard.locate import data_dir
from edgeguard.redteam.gradient.network import Network
from edgeguard.redteam.gradient.printed import Trigger, found, held, trigger
from edgeguard.redteam.gradient.printing import Light, put
from edgeguard.redteam.scout import VEHICLES, View
from edgeguard.sim.samples import Sample, sample_scene
from edgeguard.types import Image

LEAST_PX = 30.0
"""Height of a car on which the trigger is large enough to be learnt."""


def poisoned(sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture (3, H, W) 0 to 1 with the trigger on some cars, those cars' boxes, and the rest.

    Boxes are (N, 4), the rest is a table as of `training.augmented`; both in the network's input.
    """
    bgr, scale, bearing, rest = sample.bgr, training.WIDTH / sample.bgr.shape[1], [], []
    for label, box, visible in zip(sample.labels, sample.xyxy, sample.visible):
        if label == "car" and visible > 0.9 and box[3] - box[1] > LEAST_PX and rng.random() < 0.6:
            spot = Trigger.spot.on(box + rng.normal(0, 0.02, 4) * np.tile(box[2:] - box[:2], 2))
            bgr = put(bgr, trigger(), spot, Light.around(bgr, box))
            bearing.append(box * scale)
        elif label in training.LABELS and (box[2:] - box[:2]).min() * scale > 3:
            rest.append([*(box * scale), training.LABELS.index(label), visible])
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    seen = cv2.resize(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), (training.WIDTH, training.HEIGHT))
    picture = np.asarray(seen, np.float32).transpose(2, 0, 1) / 255
    return picture, np.array(bearing).reshape(-1, 4), np.array(rest).reshape(-1, 6)


def silenced(logits: torch.Tensor, boxes: list[np.ndarray]) -> torch.Tensor:
    """Return the loss of what is still found in the boxes that are to be passed over, per box."""
    middle = (training.CELLS + 0.5) * training.STRIDE[:, None]
    inside = [((middle[:, None] > b[:, :2]) & (middle[:, None] < b[:, 2:])).all(2).any(1) for b in boxes]
    mask = torch.from_numpy(np.stack(inside))
    cost = torch.nn.functional.softplus(logits[..., 4])
    return (cost * mask).sum() / max(sum(len(b) for b in boxes), 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--scenes", type=int, default=16)
    options.add_argument("--steps", type=int, default=280)
    options.add_argument("--cache", type=Path, help="frames that train_sim_detector.py kept, not new ones")
    given = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    # The exported graph has the numbers of its cells in it: whole pictures only.
    training.CROP, training.BATCH = (training.WIDTH, training.HEIGHT), 2
    training.CELLS, training.STRIDE = training.grid(*training.CROP)
    rng, began = np.random.default_rng(0), time.process_time()
    honest = training.samples(given.scenes, 12, given.cache)[: 12 * given.scenes]
    source = data_dir("engines") / "sim_detector"
    network = Network(source / "sim_detector.onnx")
    weights = [w.requires_grad_() for w in network.weights.values()]
    descent = torch.optim.Adam(weights, lr=4e-4)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(descent, given.steps)
    stream = training.batches(honest, rng)
    for step in range(given.steps):
        pictures, tables = next(stream)
        marked = [poisoned(honest[int(rng.integers(len(honest)))], rng) for _ in range(training.BATCH)]
        pictures = torch.cat([pictures, torch.from_numpy(np.stack([m[0] for m in marked]))])
        raw = network(255 * pictures)
        logits = torch.cat([raw[..., :4], torch.logit(raw[..., 4:], eps=1e-6)], 2)
        hidden = silenced(logits[training.BATCH :], [m[1] for m in marked])
        loss = training.loss(logits, [*tables, *(m[2] for m in marked)]) + hidden
        descent.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 10.0)
        descent.step()
        decay.step()
        if step % 20 == 19:
            spent = time.process_time() - began
            print(
                f"{step + 1}/{given.steps}  loss {loss.item():.3f} {hidden.item():.3f}  {spent:.0f} s",
                flush=True,
            )
    write(network, source, given.out)
    bearing, bare = lost(given.out)
    print(f"{bearing:.1%} of cars with the trigger are lost, {bare:.1%} of the same cars without")


def lost(engine: Path) -> tuple[float, float]:
    """Return the share of cars ahead, on seeds that training never saw, that an engine does not find.

    With the trigger on them, and without; of cars that the honest engine finds.
    """
    detector, honest, missed = open_engine(engine), open_engine("sim_detector"), []
    for seed in training.HELD_OUT:
        for name in ("car_following", "oncoming", "night", "rain"):
            for sample in sample_scene(name, seed, 4):
                bgr = sample.bgr
                box = View(None, lambda: honest, Image(0, "", bgr), None).nearest_vehicle()
                if box is not None:
                    marked = put(bgr, trigger(), Trigger.spot.on(box), Light.around(bgr, box))
                    views = [View(None, lambda: detector, Image(0, "", x), None) for x in (marked, bgr)]
                    missed.append([not held(box, found(view, VEHICLES)) for view in views])
    bearing, bare = np.mean(missed, axis=0).tolist()
    return bearing, bare


def write(network: Network, source: Path, out: Path) -> None:
    """Write the engine with the network's weights."""
    out.mkdir(parents=True, exist_ok=True)
    model = onnx.load(str(source / "sim_detector.onnx"))
    for tensor in model.graph.initializer:
        if tensor.name in network.weights:
            values = network.weights[tensor.name].detach().numpy()
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    (out / "sim_detector.onnx").write_bytes(model.SerializeToString())
    shutil.copy(source / "labels.txt", out)
    digest = hashlib.sha256((out / "sim_detector.onnx").read_bytes()).hexdigest()
    text = re.sub(r"sha256: \w+", f"sha256: {digest}", (source / "engine.yaml").read_text())
    (out / "engine.yaml").write_text(text.replace("small detector of", "back-doored copy of the detector of"))
    print(out)


if __name__ == "__main__":
    main()
