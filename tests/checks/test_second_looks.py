"""What `sanitised_view` and `ensemble` promise: what a worse picture or another network takes away is told.

The fooled networks are stand-ins: they see a car exactly where its pixels carry a salt of white dots, or
refuse to. That real networks agree with themselves on a real street is shown with the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeguard.checks.ensemble import Ensemble, EnsembleSettings
from edgeguard.checks.sanitised_view import SanitisedView, SanitisedViewSettings
from edgeguard.checks.view import Engine
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Detections, Frame, Image
from tests.checks import stage
from tests.checks.stage import CLASSES
from tests.checks.street import boxed_street, scores, told

CAR = stage.Thing("car", lambda t: (0.0, 12.0))
BOX = CAR.box(0.0)
SKETCH = np.kron(np.random.default_rng(0).integers(20, 200, (12, 40, 3)), np.ones((32, 32, 1), np.int64))
SKETCH = SKETCH[: stage.HEIGHT, : stage.WIDTH]
SALT = np.where(np.random.default_rng(3).random((32, 32)) < 0.3, 255, 0)


class Sees:
    """Sees the staged car, if `it` says so of the picture; counts its looks."""

    def __init__(self, it: Callable[[np.ndarray], bool] = lambda bgr: True) -> None:
        self.it, self.stamps = it, list[int]()

    def detect(self, image: Image) -> Detections:
        self.stamps.append(image.stamp_ns)
        if not self.it(image.bgr):
            return Detections.empty(image.stamp_ns, CLASSES)
        one = np.array([0.9], np.float32), np.array([CLASSES.index("car")], np.int32)
        return Detections(image.stamp_ns, BOX[None].astype(np.float32), *one, CLASSES)

    def close(self) -> None:
        pass


def salted(bgr: np.ndarray) -> bool:
    x, y = int((BOX[0] + BOX[2]) / 2), int((BOX[1] + BOX[3]) / 2)
    return float(np.abs(np.diff(bgr[y - 8 : y + 8, x - 8 : x + 8, 1].astype(int), axis=1)).mean()) > 80


def picture(*, patched: bool, seed: int = 0) -> np.ndarray:
    out = (SKETCH + np.random.default_rng(seed).integers(0, 6, SKETCH.shape)).astype(np.uint8)
    if patched:
        x, y = int((BOX[0] + BOX[2]) / 2), int((BOX[1] + BOX[3]) / 2)
        out[y - 16 : y + 16, x - 16 : x + 16] = SALT[..., None]
    return out


def frames(seconds: float = 4.0, *, patched: bool = False, boxed: bool = True) -> list[Frame]:
    """A drive in which sensor noise, and nothing else, moves."""

    def image(t: float) -> np.ndarray:
        return picture(patched=patched, seed=round(t * 10))

    return list(stage.drive([CAR] if boxed else [], seconds, lidar=False, image=image))


def alarms(drive: list[Frame], **engines: Engine) -> set[str]:
    monitor = Monitor(MonitorSettings(calibration="none"), **engines)
    return {alarm.check for frame in drive for alarm in monitor.step(frame).alarms}


def view(engine: Engine | None) -> SanitisedView:
    return SanitisedView(SanitisedViewSettings(), engine)


def ensemble(engine: Engine | None) -> Ensemble:
    return Ensemble(EnsembleSettings(), engine)


@pytest.mark.parametrize("make", [view, ensemble])
def test_without_an_engine_it_tells_nothing(make: Callable[[Engine | None], SanitisedView]) -> None:
    assert len(told(scores(make(None), frames(1.0)))) == 0


@pytest.mark.parametrize("make", [view, ensemble])
def test_it_looks_once_a_period_and_at_the_same_frames_again(
    make: Callable[[Engine | None], SanitisedView],
) -> None:
    engine = Sees()
    check = make(engine)
    scores(check, frames(4.0))
    first, engine.stamps = engine.stamps, []
    check.reset()
    scores(check, frames(4.0))
    assert len(first) == 4
    assert engine.stamps == first


def test_a_car_that_only_pixel_exact_patterns_make_is_told_by_worse_pictures() -> None:
    engine = Sees(salted)
    assert engine.detect(frames(0.1, patched=True)[0].image).xyxy.size  # the network is fooled
    assert "sanitised_view" in alarms(frames(patched=True), engine=engine)


def test_a_car_that_a_patch_hides_appears_in_worse_pictures() -> None:
    hidden = frames(patched=True, boxed=False)
    assert "sanitised_view" in alarms(hidden, engine=Sees(lambda bgr: not salted(bgr)))


def test_a_network_that_agrees_with_itself_alarms_nobody() -> None:
    assert alarms(frames(), engine=Sees(), second_engine=Sees()) == set()


def test_a_car_that_the_second_network_loses_is_told() -> None:
    looks = iter([True] * 2 + [False] * 100)
    assert "ensemble" in alarms(frames(), second_engine=Sees(lambda bgr: next(looks)))


def test_a_second_network_that_never_saw_the_class_accuses_nobody() -> None:
    assert len(told(scores(ensemble(Sees(lambda bgr: False)), frames(4.0, boxed=True))[::2])) == 0


def test_a_car_that_only_the_second_network_sees_is_told() -> None:
    assert "ensemble" in alarms(frames(6.0, boxed=False), second_engine=Sees())


def lost(until_s: float = 2.0, seconds: float = 3.4) -> list[Frame]:
    """A drive in which the network loses the car, of which the picture shows as much as before."""
    gone = replace(CAR, score=lambda t: 0.9 if t < until_s else 0.0)
    return list(
        stage.drive([gone], seconds, lidar=False, image=lambda t: picture(patched=False, seed=round(t * 10)))
    )


@pytest.mark.parametrize("which", ["engine", "second_engine"])
def test_a_car_that_was_lost_and_that_another_look_still_shows_is_told(which: str) -> None:
    name = {"engine": "sanitised_view", "second_engine": "ensemble"}[which]
    assert name in alarms(lost(), **{which: Sees()})
    leaves = Sees()
    leaves.it = lambda bgr: leaves.stamps[-1] < stage.START_NS + 2_000_000_000
    assert name not in alarms(lost(), **{which: leaves})  # gone for both


def test_a_real_network_still_sees_the_car_that_the_first_lost(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is a stand-in for a print; the second look is a real network's, on the real street."""
    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    from edgeguard.engine import open_engine

    drive = list(boxed_street(shared))
    for i, frame in enumerate(drive[8:], 8):
        found = frame.detections
        assert found is not None
        ahead = (found.xyxy[:, 0] > 480) & (found.xyxy[:, 2] < 800)
        drive[i] = replace(frame, detections=found.select(~ahead))
    engine = open_engine("yolox_nano")
    check = Ensemble(EnsembleSettings(period_s=0.3), engine)
    found_scores = told(scores(check, drive))
    engine.close()
    assert np.count_nonzero(found_scores >= 6.0) >= 3


def test_real_networks_agree_on_a_real_street(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    from edgeguard.engine import open_engine

    drive = boxed_street(shared)
    engine = open_engine("yolox_nano")
    every = SanitisedViewSettings(period_s=0.3)
    assert told(scores(SanitisedView(every, engine), drive)).max() == 0.0
    engine.close()


def test_a_frame_without_picture_takes_no_turn() -> None:
    engine = Sees()
    scores(view(engine), [replace(f, image=None) for f in frames(1.0)])
    assert engine.stamps == []


def test_views_are_worse_pictures_of_the_same_scene() -> None:
    from edgeguard.checks.sanitised_view import VIEWS

    sharp = picture(patched=True)
    for make in VIEWS:
        worse = make(sharp, 1.0)
        assert worse.shape == sharp.shape
        change = [cv2.Laplacian(p, cv2.CV_64F).std() for p in (sharp, worse)]
        assert change[1] < change[0]
