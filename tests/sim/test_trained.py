"""The small detector that ships, on drives that its training never saw."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.engine import Engine, open_engine
from edgeguard.sim.samples import Sample, average_precision, sample_scene
from edgeguard.types import Image

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine("sim_detector")  # refuses weights that are not those of its specification


@pytest.fixture(scope="module")
def held_out() -> list[Sample]:
    names = ("car_following", "night", "stop_junction")
    return [sample for name in names for sample in sample_scene(name, 910, 4)]


def test_it_finds_the_vehicles(engine: Engine, held_out: list[Sample]) -> None:
    found = [engine.detect(Image(0, "", s.bgr)) for s in held_out]
    assert average_precision(found, held_out, frozenset({"car"}), within_m=40, visible=0.5) >= 0.9


def test_an_empty_picture_shows_it_nothing(engine: Engine, held_out: list[Sample]) -> None:
    grey = np.full_like(held_out[0].bgr, 128)
    assert len(engine.detect(Image(0, "", grey))) == 0
