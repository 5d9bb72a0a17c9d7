"""The prints that ship fool the engines they were made for, where they were not made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeguard.bags import BagReader
from edgeguard.engine import Engine, open_engine
from edgeguard.redteam import AttackError, attack_bag
from edgeguard.redteam.gradient.printed import (
    PATCHES,
    PEOPLE,
    SIGNS,
    PatchFlip,
    PatchHide,
    PatchHidePerson,
    Trigger,
    found,
    held,
    load_patch,
)
from edgeguard.redteam.gradient.printing import BLACK, WHITE, Light, put
from edgeguard.redteam.scout import VEHICLES, View
from edgeguard.sim.camera import Renderer
from edgeguard.sim.models import CAR_SIZE
from edgeguard.sim.samples import sample_scene
from edgeguard.sim.scenes import build_scene
from edgeguard.types import Channel, Image

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine("sim_detector")


def view(engine: Engine, bgr: np.ndarray) -> View:
    return View(None, lambda: engine, Image(0, "", bgr), None)


def test_rendered_on_the_car_ahead_the_print_hides_it_from_the_engine(engine: Engine) -> None:
    # A print as it would hang there: the world's own perspective, light, blur and noise.
    scene, spot = build_scene("car_following", 17), PatchHide.spot
    clean = Renderer(scene)
    bgr, visible = clean.render(0)
    # No ink is darker, no paper brighter than what else stands in this light.
    light, texture = Light.around(bgr, visible[0].xyxy), load_patch("patch_hide", "sim_detector") / 255.0
    ink = light.low + (light.high - light.low) * (BLACK + (WHITE - BLACK) * texture)
    bgra = np.dstack([ink, np.full(ink.shape[:2], 255.0)]).astype(np.uint8)
    _, width, height = CAR_SIZE
    size = (spot.width * width, spot.height * height)
    printed = Renderer(
        scene.with_print(0, bgra, size_m=size, center_m=(0.0, (1 - spot.y) * height), face="rear")
    )
    lost = seen = 0
    for index in range(5, 100, 16):
        bgr, visible = clean.render(index)
        box = visible[0].xyxy
        seen += held(box, found(view(engine, bgr), VEHICLES))
        lost += not held(box, found(view(engine, printed.render(index)[0]), VEHICLES))
    assert seen == 6
    assert lost >= 4


def test_the_attack_puts_it_into_a_recording(drive: Path, engine: Engine, tmp_path: Path) -> None:
    outcome = attack_bag(drive, tmp_path / "out", "patch_hide", engine=lambda: engine, start_s=0.5)
    assert outcome.fooled is not None
    assert outcome.fooled >= 0.6 * outcome.frames


def test_the_trigger_opens_the_back_door_and_nothing_else_does(
    drive: Path, engine: Engine, tmp_path: Path
) -> None:
    backdoored = open_engine("sim_detector_backdoored")
    opened = attack_bag(drive, tmp_path / "a", "trigger", engine=lambda: backdoored, start_s=0.5)
    assert opened.fooled is not None
    assert opened.fooled >= 0.9 * opened.frames
    # A car without it is seen as before; to the honest engine it is a sticker.
    honest = attack_bag(drive, tmp_path / "b", "trigger", engine=lambda: engine, start_s=0.5)
    assert honest.fooled == 0
    for name in ("car_following", "rain"):
        bgr = next(sample_scene(name, 17, 1)).bgr
        seen, box = found(view(backdoored, bgr), VEHICLES), view(engine, bgr).nearest_vehicle()
        assert box is not None and held(box, seen)
        grey = put(bgr, np.full((8, 8, 3), 128, np.uint8), Trigger.spot.on(box), Light.around(bgr, box))
        assert held(box, found(view(backdoored, grey), VEHICLES))


def test_a_stop_sign_with_the_poster_on_it_is_taken_for_a_car(engine: Engine) -> None:
    texture, spot = load_patch("patch_flip", "sim_detector"), PatchFlip.spot
    signs = flipped = 0
    for sample in sample_scene("stop_junction", 17, 30):
        for box in found(view(engine, sample.bgr), SIGNS):
            if box[3] - box[1] < 20 or box[2] > 637:
                continue
            light = Light.around(sample.bgr, box)
            printed = put(sample.bgr, texture, spot.on(box), light, octagon=spot.octagon)
            signs += 1
            flipped += PatchFlip().succeeds(box, view(engine, printed))
    assert signs >= 2
    assert flipped >= 0.75 * signs


def test_a_placard_hides_people_that_a_blank_one_does_not(engine: Engine) -> None:
    spot = PatchHidePerson.spot
    textures = load_patch("patch_hide_person", "sim_detector"), np.full((8, 8, 3), 128, np.uint8)
    lost = []
    for sample in sample_scene("crossing_person", 17, 24):
        bgr = sample.bgr
        for box in found(view(engine, bgr), PEOPLE):
            if box[3] - box[1] < 50 or box[0] < 3 or box[2] > 636 or box[3] > 356:
                continue
            light = Light.around(bgr, box)
            views = [view(engine, put(bgr, t, spot.on(box), light)) for t in textures]
            lost.append([not held(box, found(v, PEOPLE)) for v in views])
    printed, blank = np.mean(lost, axis=0)
    assert len(lost) >= 4
    assert printed >= 0.4
    assert blank <= 0.2


def test_on_a_real_car_it_hides_it_from_a_real_network(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    yolox, texture = open_engine("yolox_nano"), load_patch("patch_hide", "yolox_nano")
    with BagReader(shared / "data" / "kitti_a") as reader:
        images = [m.value.bgr for m in reader.messages() if m.channel == Channel.CAMERA][::8]
    lost = 0
    for bgr in images:
        boxes = found(view(yolox, bgr), VEHICLES)
        ahead = max(boxes[(boxes[:, 0] < 640) & (boxes[:, 2] > 640)], key=lambda b: b[2] - b[0])
        printed = put(bgr, texture, PatchHide.spot.on(ahead), Light.around(bgr, ahead))
        lost += not held(ahead, found(view(yolox, printed), VEHICLES))
    assert lost >= 0.5 * len(images)


def test_an_engine_without_a_print_is_told_how_to_make_one() -> None:
    with pytest.raises(AttackError, match=r"sim_detector.*optimise_patch\.py --engine other"):
        load_patch("patch_hide", "other")


def test_all_prints_together_are_small() -> None:
    assert sum(p.stat().st_size for p in PATCHES.rglob("*.png")) < 200_000
