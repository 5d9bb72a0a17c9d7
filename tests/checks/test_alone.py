"""What would be missed without each check: an attack that, of the whole monitor, it alone tells.

The checks that are not here have theirs in their own files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeguard.checks.view import Engine
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Frame
from tests.checks import sweeps
from tests.checks.stage import Thing, drive
from tests.checks.street import on_near_boxes, painted, street, turned_lidar
from tests.checks.test_box_motion import car
from tests.checks.test_class_stability import called
from tests.checks.test_input_distribution import calibrated, picture
from tests.checks.test_lidar_ghost import LEAD, PARKED, ghost
from tests.checks.test_lidar_support import _with_points, sweep
from tests.checks.test_patch_saliency import patch
from tests.checks.test_second_looks import Sees, frames, salted
from tests.checks.test_stream_integrity import frames as stream
from tests.checks.test_stream_integrity import scenery

IN_TIME_S = 0.5


def first(
    drive: Iterable[Frame],
    *,
    settings: MonitorSettings | None = None,
    engine: Engine | None = None,
    second_engine: Engine | None = None,
) -> dict[str, float]:
    """When each check of a whole monitor, with shipped defaults, first alarms, s."""
    monitor = Monitor(settings or MonitorSettings(), engine=engine, second_engine=second_engine)
    found: dict[str, float] = {}
    start_ns: int | None = None
    for frame in drive:
        start_ns = frame.stamp_ns if start_ns is None else start_ns
        for alarm in monitor.step(frame).alarms:
            found.setdefault(alarm.check, (frame.stamp_ns - start_ns) * 1e-9)
    return found


def test_stream_integrity_an_old_picture_under_new_stamps() -> None:
    assert set(first(stream(30, lambda i: scenery(min(i, 15))))) == {"stream_integrity"}


def test_birth_death_a_near_car_is_taken_from_a_vehicle_that_has_but_a_camera() -> None:
    near = Thing("car", lambda t: (0.5, 9.5), score=lambda t: 0.9 if t < 2.0 else 0.0)
    found = first(drive([near], 3.1, lidar=False))
    assert set(found) == {"birth_death"}
    assert 2.0 + IN_TIME_S <= found["birth_death"] <= 3.0  # no sooner: detectors blink


@pytest.mark.parametrize("lidar", [False, True], ids=["camera", "camera and LiDAR"])
def test_class_stability_one_who_waits_at_the_kerb_becomes_a_stop_sign(lidar: bool) -> None:
    """As slim as a sign and as still: nothing but what it was called before speaks against it."""
    waits = Thing("person", lambda t: (2.5, 12.0), 0.65, 1.75, 0.5)
    name = lambda i: "stop sign" if i >= 15 else "person"  # noqa: E731
    found = first(called(drive([waits], 4.5, lidar=lidar), name))
    assert set(found) == {"class_stability"}
    assert found["class_stability"] <= 1.5 + IN_TIME_S


@pytest.mark.parametrize("lidar", [False, True], ids=["camera", "camera and LiDAR"])
def test_box_motion_a_box_that_jumps_to_and_fro(lidar: bool) -> None:
    def jump(t: float) -> float:
        return 28.0 * (-1) ** round(10 * t) if t > 1 else 0.0

    assert set(first(drive([car(shift=jump)], 3.0, lidar=lidar))) == {"box_motion"}


def test_depth_agreement_a_small_picture_near_pretends_a_car_far_off() -> None:
    small = Thing("car", lambda t: (0.3, 7.0), 0.6, 0.53, 0.5)
    found = first(_with_points(small, lambda t: sweep(small, t), 1.5))
    assert set(found) == {"depth_agreement"}


def test_lidar_support_a_phantom_where_lidar_was_blinded_from_the_start() -> None:
    """Nothing passes through, and nothing was taken away: there are no returns to reason about."""

    def blinded(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return xyz[np.abs(np.arctan2(xyz[:, 1], xyz[:, 0]) + np.arctan2(1.0, 14.0)) > np.radians(5.0)]

    found = first(sweeps.drive([sweeps.Body(lambda t: (1.0, 14.0), solid=False)], 1.5, blinded))
    assert set(found) == {"lidar_support"}
    assert found["lidar_support"] <= IN_TIME_S


def test_lidar_ghost_both_sensors_are_shown_the_same_car() -> None:
    shown = sweeps.Body(lambda t: (-1.2, 9.0), solid=False, boxed=lambda t: t >= 1.0)
    found = first(sweeps.drive([PARKED, LEAD, shown], 1.8, ghost(-1.2, 9.0)))
    assert set(found) == {"lidar_ghost"}
    assert found["lidar_ghost"] <= 1.0 + IN_TIME_S


def test_calibration_drift_a_lidar_that_was_turned(shared: Path) -> None:
    assert set(first(turned_lidar(street(shared), yaw_deg=1.8)[:32])) == {"calibration_drift"}


def test_patch_saliency_a_print_on_cars_that_the_network_still_sees(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    from edgeguard.engine import open_engine

    network = open_engine("yolox_nano")
    seen = [
        replace(f, detections=network.detect(f.image)) for f in street(shared)[:20] if f.image is not None
    ]
    network.close()
    assert set(first(painted(seen, on_near_boxes(patch())))) == {"patch_saliency"}


def foggy(seconds: float, onset: float) -> Iterator[Frame]:
    noise = np.random.default_rng(0).integers(0, 9, (400, 1300, 3)).astype(np.uint8)
    clear, veiled = picture(), picture(0.2, 150.0)

    def image(t: float) -> np.ndarray:
        n = round(t * 10)
        own = np.roll(noise, (7 * n % 23, 13 * n % 51), (0, 1))[:375, :1242]
        return (clear if t < onset else veiled) + own

    yield from drive([Thing("car", lambda t: (0.0, 15.0))], seconds, lidar=False, image=image)


def test_input_distribution_a_lens_that_is_fogged() -> None:
    """It wants seconds of other pictures: weather is nothing to brake for."""
    settings = MonitorSettings()
    checks = settings.checks.model_copy(update={"input_distribution": calibrated().settings})
    assert set(first(foggy(13.5, 0.5), settings=settings.model_copy(update={"checks": checks}))) == {
        "input_distribution"
    }


def test_sanitised_view_a_car_that_only_a_pattern_makes_or_hides() -> None:
    made = first(frames(4.0, patched=True), engine=Sees(salted))
    hidden = first(frames(4.0, patched=True, boxed=False), engine=Sees(lambda bgr: not salted(bgr)))
    assert set(made) == set(hidden) == {"sanitised_view"}


def test_ensemble_a_car_that_the_network_never_saw() -> None:
    assert set(first(frames(3.0, boxed=False), second_engine=Sees())) == {"ensemble"}
