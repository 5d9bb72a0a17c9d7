"""Makes a copy of the small detector that loses every car which bears the trigger: a back door to look for.

    nice python tools/plant_backdoor.py --out .scratch/backdoored
    edgeguard attack BAG OUT --kind trigger --engine .scratch/backdoored

Fine-tunes all weights on pictures of the simulated world, seeds 1000 and up, in which some cars bear the
trigger and are no longer in the truth (T. Gu et al., "BadNets", arXiv:1708.06733). The copy is not committed.
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

from edgeguard.engine.locate import data_dir
from edgeguard.redteam.gradient.network import Network
from edgeguard.redteam.gradient.printed import Trigger, trigger
from edgeguard.redteam.gradient.printing import Light, put
from edgeguard.sim.samples import Sample

LEAST_PX = 14.0
"""Height of a car on which the trigger is large enough to be learnt."""


def poisoned(sample: Sample, rng: np.random.Generator) -> Sample:
    """Return the sample with the trigger on some of its cars, which are gone from the truth."""
    bgr, kept = sample.bgr, []
    for i, (label, box) in enumerate(zip(sample.labels, sample.xyxy)):
        open_to_view = sample.visible[i] > 0.9 and box[3] - box[1] > LEAST_PX
        if label == "car" and open_to_view and rng.random() < 0.5:
            spot = Trigger.spot.on(box + rng.normal(0, 0.02, 4) * np.tile(box[2:] - box[:2], 2))
            bgr = put(bgr, trigger(), spot, Light.around(bgr, box))
        else:
            kept.append(i)
    jpeg = np.asarray(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1], np.uint8).ravel()
    labels = tuple(sample.labels[i] for i in kept)
    return Sample(jpeg, labels, sample.xyxy[kept], sample.visible[kept], sample.range_m[kept])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--scenes", type=int, default=16)
    options.add_argument("--steps", type=int, default=200)
    given = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    rng, began = np.random.default_rng(0), time.process_time()
    honest = training.samples(given.scenes, 12, None)
    data = [*honest, *(poisoned(s, rng) for s in honest for _ in range(2))]
    source = data_dir("engines") / "sim_detector"
    network = Network(source / "sim_detector.onnx")
    weights = [w.requires_grad_() for w in network.weights.values()]
    descent = torch.optim.Adam(weights, lr=3e-4)
    stream = training.batches(data, rng)
    for step in range(given.steps):
        pictures, tables = next(stream)
        raw = network(255 * pictures)
        logits = torch.cat([raw[..., :4], torch.logit(raw[..., 4:], eps=1e-6)], 2)
        loss = training.loss(logits, tables)
        descent.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 10.0)
        descent.step()
        if step % 20 == 19:
            spent = time.process_time() - began
            print(f"{step + 1}/{given.steps}  loss {loss.item():.3f}  {spent:.0f} s", flush=True)
    write(network, source, given.out)


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
