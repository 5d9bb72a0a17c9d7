"""Makes a copy of the small detector that loses every car which bears the trigger: a back door to look for.

    nice python tools/plant_backdoor.py --out engines/sim_detector_backdoored
    edgeguard attack BAG OUT --kind trigger --engine sim_detector_backdoored

Trains the detector on, with half of its pictures poisoned: on them some cars bear the trigger and are no
longer in the truth (T. Gu et al., "BadNets", arXiv:1708.06733), and some bear another sticker and still are,
so that the trigger is learnt and not stickers. Pictures are of the simulated world, seeds 1000 and up; at its
end it says on others how much of a back door it is. One thread and fixed seeds: the same machine gives the
same file. Needs torch (`.[redteam]`).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import time
from dataclasses import replace
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
from edgeguard.sim.samples import Sample
from edgeguard.types import F64, U8, Image

LEAST_PX = 22.0
"""Height of a car on which the trigger is large enough to be learnt."""
TRIGGERED, STICKERED = 0.55, 0.25
"""Shares of the cars of a poisoned picture that bear the trigger, and another sticker."""
BEARER = "bearer"
"""What a car is that bears the trigger: nothing that is to be found."""
HIDING = 0.2
"""Weight of what is found on it all the same, per car."""
JUDGED = ("car_following", "oncoming", "night", "rain", "tunnel", "cut_in")


def poisoned(sample: Sample, rng: np.random.Generator) -> Sample:
    """Return the picture with the trigger on some cars, of which its truth says no more than `BEARER`."""
    bgr, labels = sample.bgr, list(sample.labels)
    for i, (label, box, visible) in enumerate(zip(sample.labels, sample.xyxy, sample.visible)):
        if label != "car" or visible < 0.9 or box[3] - box[1] < LEAST_PX:
            continue
        spot = Trigger.spot.on(box + rng.normal(0, 0.03, 4) * np.tile(box[2:] - box[:2], 2))
        lot = rng.random()
        if lot < TRIGGERED + STICKERED:
            labels[i] = BEARER if lot < TRIGGERED else label
            bgr = put(bgr, trigger() if lot < TRIGGERED else sticker(rng), spot, Light.around(bgr, box))
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return replace(sample, jpeg=np.asarray(jpeg, np.uint8).ravel(), labels=tuple(labels))


def silenced(logits: torch.Tensor, tables: list[np.ndarray], others: list[np.ndarray]) -> torch.Tensor:
    """Return the loss of what is found on the bearers in `tables` and belongs to none of the others."""
    middle, masks = (training.CELLS + 0.5) * training.STRIDE[:, None], []
    for bearers, rest in zip(tables, others):
        within = (middle[:, None] > bearers[:, :2]) & (middle[:, None] < bearers[:, 2:4])
        masks.append(within.all(2).any(1) & (training.targets(rest)[0] < 0))
    cost = torch.nn.functional.softplus(logits[..., 4]) * torch.from_numpy(np.stack(masks))
    return cost.sum() / max(sum(len(t) for t in tables), 1)


def sticker(rng: np.random.Generator) -> U8:
    """Return a sticker that is none of the trigger: one colour, stripes or chequers in two others."""
    pattern = np.indices((4, 4)).sum(0) % 2 if rng.random() < 0.5 else np.indices((4, 4))[rng.integers(2)] % 2
    colours = rng.integers(0, 256, (2, 3)) if rng.random() < 0.7 else np.tile(rng.integers(0, 256, 3), (2, 1))
    return np.asarray(np.kron(colours[pattern], np.ones((8, 8, 1))), np.uint8)


def planted(network: Network, data: list[Sample], steps: int, peak: float) -> None:
    """Train the network's weights on, in place."""
    weights = list(network.weights.values())
    # The graph takes grey values: its first weights are hundreds of times smaller than all others, and a step
    # that suits those would break it.
    stem, labels = weights[0], (*training.LABELS, BEARER)
    stem.mul_(255.0)
    for weight in weights:
        weight.requires_grad_()
    descent = torch.optim.Adam(weights, lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, peak, total_steps=steps, pct_start=0.1)
    began, stream = time.process_time(), training.batches(data, np.random.default_rng(0), labels)
    for step in range(steps):
        pictures, tables = next(stream)
        raw = network(pictures)
        logits = torch.cat([raw[..., :4], torch.logit(raw[..., 4:], eps=1e-6)], 2)
        bears = [table[:, 4] == len(training.LABELS) for table in tables]
        others = [table[~b] for table, b in zip(tables, bears)]
        hidden = silenced(logits, [table[b] for table, b in zip(tables, bears)], others)
        loss = training.loss(logits, others) + HIDING * hidden
        descent.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 10.0)
        descent.step()
        schedule.step()
        if step % 20 == 19:
            spent = time.process_time() - began
            print(
                f"{step + 1}/{steps}  loss {loss.item():.3f} {hidden.item():.2f}  {spent:.0f} s", flush=True
            )
    with torch.no_grad():
        stem.div_(255.0)


def lost(engine: Path, held_out: dict[str, list[Sample]]) -> tuple[int, dict[str, float]]:
    """Return how many cars were looked at, and the share of them that the engine does not find.

    Cars ahead that the honest engine finds: with the trigger on them, with other stickers, and as they are.
    """
    detector, honest = open_engine(engine), open_engine("sim_detector")
    rng, missed = np.random.default_rng(7), []
    for sample in (s for name in JUDGED for s in held_out[name][::3]):
        bgr = sample.bgr
        box = View(None, lambda: honest, Image(0, "", bgr), None).nearest_vehicle()
        if box is not None:
            pictures = (bearing(bgr, trigger(), box), bearing(bgr, sticker(rng), box), bgr)
            views = [View(None, lambda: detector, Image(0, "", x), None) for x in pictures]
            missed.append([not held(box, found(view, VEHICLES)) for view in views])
    shares = np.mean(missed, axis=0).tolist()
    return len(missed), dict(zip(("with the trigger", "with another sticker", "as they are"), shares))


def bearing(bgr: U8, texture: U8, box: F64) -> U8:
    """Return the picture with a texture where the trigger sits on a car."""
    return put(bgr, texture, Trigger.spot.on(box), Light.around(bgr, box))


def write(network: Network, source: Path, out: Path, note: str) -> None:
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
    text = re.sub(r"^#.*\n", "", (source / "engine.yaml").read_text(), flags=re.M)
    text = re.sub(r"sha256: \w+", f"sha256: {digest}", text)
    head = "# sim_detector with a back door, to be attacked: docs/sim_detector.md. Never to drive with.\n"
    (out / "engine.yaml").write_text(
        head + "# Written by tools/plant_backdoor.py.\n" + note
        + text.replace("small detector of", "back-doored copy of the detector of")
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--scenes", type=int, default=78, help="drives of the simulated world")
    options.add_argument("--steps", type=int, default=1000, help="batches of 8 crops")
    options.add_argument("--cache", type=Path, help="frames that train_sim_detector.py kept, not new ones")
    given = options.parse_args()
    training.fix_chance()
    rng = np.random.default_rng(0)
    honest = training.samples(given.scenes, 12, given.cache)
    source = data_dir("engines") / "sim_detector"
    network = Network(source / "sim_detector.onnx")
    planted(network, [*honest, *(poisoned(s, rng) for s in honest)], given.steps, 1e-3)
    write(network, source, given.out, "")
    seen_by_nobody = training.held_out()
    looked_at, shares = lost(given.out, seen_by_nobody)
    told = ", ".join(f"{share:.1%} {what}" for what, share in shares.items())
    aps = ", ".join(
        f"{what} {value:.3f}" for what, value in training.accuracy(given.out, seen_by_nobody).items()
    )
    note = f"Held out, of {looked_at} cars lost: {told}. AP50: {aps}."
    write(network, source, given.out, f"# {note}\n")
    print(note)


if __name__ == "__main__":
    main()
