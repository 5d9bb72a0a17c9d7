"""Boxes that move as bodies do, and boxes that jump."""

from __future__ import annotations

from collections.abc import Callable

from tests.checks.stage import Thing, alarms, by, drive


def car(
    shift: Callable[[float], float] = lambda t: 0.0, scale: Callable[[float], float] = lambda t: 1.0
) -> Thing:
    return Thing("car", lambda t: (0.5, 14.0 - 0.5 * t), shift_px=shift, scale=scale)


def test_an_approaching_car_is_no_alarm() -> None:
    assert by(alarms(drive([car()], 4.0))) == set()


def test_a_whole_picture_that_shakes_is_no_alarm() -> None:
    def shake(t: float) -> float:
        return 12.0 * (-1) ** round(10 * t) if t > 1 else 0.0

    things = [Thing("car", lambda t, x=x: (x, 16.0), shift_px=shake) for x in (-6.0, -2.0, 2.0, 6.0)]
    assert "box_motion" not in by(alarms(drive(things, 4.0, lidar=False)))


def test_a_box_that_jumps_to_and_fro_is_named() -> None:
    def jump(t: float) -> float:
        return 28.0 * (-1) ** round(10 * t) if t > 1 else 0.0

    found = [a for a in alarms(drive([car(shift=jump)], 4.0, lidar=False)) if a[1].check == "box_motion"]
    assert found and found[0][0] >= 1.0
    assert found[0][1].measured["shift_sigma"] > 3


def test_a_box_that_breathes_is_named() -> None:
    def breathe(t: float) -> float:
        return 1.5 if t > 1 and round(10 * t) % 2 else 1.0

    assert "box_motion" in by(alarms(drive([car(scale=breathe)], 4.0, lidar=False)))
