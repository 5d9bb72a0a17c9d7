"""Makes the prints of edgeguard/redteam/gradient/patches: pictures that an engine falls for.

    nice python tools/optimise_patch.py --engine sim_detector --kind patch_hide
    EDGEGUARD_MODELS=../shared/models nice python tools/optimise_patch.py --engine yolox_nano \\
        --kind patch_hide --video ../shared/data/solidWhiteRight.mp4

Views come from the simulated world, seeds 1000 and up (below is what prints are judged on), or from a video.
One thread and fixed seeds: the same machine makes the same print. Needs torch (`.[redteam]`).
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from edgeguard.engine import open_engine
from edgeguard.engine.engine import Engine
from edgeguard.engine.spec import load_spec
from edgeguard.redteam.gradient.optimise import Target, optimise
from edgeguard.redteam.gradient.printed import PATCHES
from edgeguard.redteam.gradient.recipes import RECIPES, Prepared
from edgeguard.redteam.gradient.victim import Victim
from edgeguard.redteam.scout import VEHICLES, View
from edgeguard.sim.draft import camera
from edgeguard.sim.samples import Sample, sample_scene
from edgeguard.tracking.boxes import intersection
from edgeguard.types import F64, U8, Image

FIRST_SEED = 1000
SURE = 0.5
CAMERA_HEIGHT_M = 1.45


def boxes(engine: Engine, bgr: U8, prepared: Prepared) -> F64:
    """Return the boxes (N, 4) of what can bear a print: surely seen, whole and large enough."""
    d = engine.detect(Image(0, "", bgr))
    named = np.array([name in prepared.on for name in d.labels], bool) & (d.score >= SURE)
    found = d.xyxy[named].astype(np.float64)
    h, w = bgr.shape[:2]
    whole = (found[:, :2] > 2).all(1) & (found[:, 2] < w - 2) & (found[:, 3] < h - 2)
    return found[whole & (found[:, 3] - found[:, 1] >= prepared.least_px)]


def of_world(engine: Engine, prepared: Prepared, samples: list[Sample]) -> Iterator[Target]:
    """Yield views of the world's things: of vehicles the one that matters, as an attack chooses it."""
    for i, sample in enumerate(samples):
        bgr = sample.bgr
        if not prepared.on:
            found = boards(engine, bgr, i)[:1]
        elif prepared.on == VEHICLES:
            nearest = View(None, lambda: engine, Image(0, "", bgr), None).nearest_vehicle()
            found = np.zeros((0, 4)) if nearest is None or not ahead(nearest, bgr) else nearest[None]
        else:
            found = boxes(engine, bgr, prepared)
        yield from (Target(bgr, box) for box in found)


def ahead(box: F64, bgr: U8) -> bool:
    """Whether a vehicle shows its rear or front and is close: what a print on it is made for."""
    h, w = bgr.shape[:2]
    return bool(abs((box[0] + box[2]) / 2 - w / 2) < 0.12 * w and box[3] - box[1] > 0.1 * h)


def drives(scenes: list[str], seeds: int, frames: int, cache: Path | None) -> list[Sample]:
    """Return frames of the simulated world; those that the detector's training kept, where there are any."""
    if cache is not None:
        return list(pickle.loads(cache.read_bytes()))
    return [
        sample
        for i in range(seeds)
        for sample in sample_scene(scenes[i % len(scenes)], FIRST_SEED + i, frames)
    ]


def boards(engine: Engine, bgr: U8, seed: int) -> F64:
    """Return the boxes (N, 4) of boards as large as a car on free road of the simulated world."""
    rng, model = np.random.default_rng(seed), camera()
    taken = engine.detect(Image(0, "", bgr)).xyxy.astype(np.float64)
    z, x = rng.uniform(8, 24, 8), rng.uniform(-3.5, 3.5, 8)
    middle = model.k[0, 2] + model.k[0, 0] * x / z
    foot = model.k[1, 2] + model.k[1, 1] * CAMERA_HEIGHT_M / z
    half, tall = model.k[0, 0] * 0.9 / z, model.k[1, 1] * 1.5 / z
    all_ = np.column_stack([middle - half, foot - tall, middle + half, foot])
    h, w = bgr.shape[:2]
    free = (
        (intersection(all_, taken) <= 0).all(1) & (all_[:, 0] > 2) & (all_[:, 2] < w - 2) & (all_[:, 3] < h)
    )
    return np.asarray(all_[free])


def of_video(engine: Engine, prepared: Prepared, path: Path, seed: int = 0) -> Iterator[Target]:
    """Yield views of a video's things, enlarged to what is seen of one close ahead."""
    rng, film, shown = np.random.default_rng(seed), cv2.VideoCapture(str(path)), load_spec(engine.name).spec
    side_px, stretches = shown.input.width, shown.input.resize.rule == "stretch"
    for index in range(int(film.get(cv2.CAP_PROP_FRAME_COUNT))):
        ok, bgr = film.read()
        if not ok:
            return
        if index % 8:
            continue
        for box in boxes(engine, np.asarray(bgr, np.uint8), prepared):
            if box[2] - box[0] < 40:
                continue
            height, width = bgr.shape[:2]
            # What stretches sees a wide picture squeezed, and its tiles as they are.
            shape = rng.uniform(1.0, 3.5) if stretches else 1.0
            # In its overlapping tiles a car close ahead fills most of one.
            fill = rng.uniform(0.12, 0.65 if stretches else 0.4)
            side = min(int((box[2] - box[0]) / fill), height, int(width / shape))
            corner = (box[:2] + box[2:]) / 2 - side * rng.uniform((0.35, 0.4), (0.65, 0.7)) * (shape, 1)
            x, y = np.clip(corner, 0, (width - side * shape, height - side)).astype(int)
            crop = cv2.resize(
                bgr[y : y + side, x : x + int(side * shape)],
                (int(side_px * shape), side_px),
                interpolation=cv2.INTER_CUBIC,
            )
            moved = (box - np.array([x, y, x, y])) * side_px / side
            if len(boxes(engine, np.asarray(crop, np.uint8), prepared)):
                yield Target(np.asarray(crop, np.uint8), moved)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--engine", required=True)
    options.add_argument("--kind", required=True, choices=sorted(RECIPES))
    options.add_argument("--video", type=Path, help="take views from here, not from the simulated world")
    options.add_argument("--scenes", nargs="*", help="scenes of the simulated world")
    options.add_argument("--seeds", type=int, default=16, help="drives of the simulated world")
    options.add_argument("--frames", type=int, default=8, help="of each drive")
    options.add_argument("--cache", type=Path, help="frames that train_sim_detector.py kept, not new ones")
    options.add_argument("--steps", type=int, default=400)
    options.add_argument("--out", type=Path, default=PATCHES)
    given = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    began = time.process_time()
    prepared = RECIPES[given.kind]
    engine = open_engine(given.engine)
    if given.video:
        targets = list(of_video(engine, prepared, given.video))
    else:
        samples = drives(given.scenes or prepared.scenes, given.seeds, given.frames, given.cache)
        targets = list(of_world(engine, prepared, samples))
    print(f"{len(targets)} views, {time.process_time() - began:.0f} s", flush=True)

    def tell(done: int, total: int, loss: float) -> None:
        if done % 50 == 0:
            print(f"{done}/{total}  loss {loss:.3f}  {time.process_time() - began:.0f} s", flush=True)

    victim = Victim(load_spec(given.engine))
    texture = optimise(victim, targets, prepared.recipe, steps=given.steps, progress=tell)
    path = given.out / given.engine / f"{given.kind}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), texture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(path)


if __name__ == "__main__":
    main()
