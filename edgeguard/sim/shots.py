"""What all sensors of a scene measure at each frame, made here or by several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from edgeguard.sim.camera import Renderer, Visible
from edgeguard.sim.lidar import RayCaster, Sweep
from edgeguard.sim.radar import Echoes, Radar
from edgeguard.sim.world import Scene
from edgeguard.types import U8

JPEG_QUALITY = 95
_CHUNK = 4


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame of every sensor.

    Attributes:
        jpeg: (N,) uint8, the encoded image.
        visible: how the actors appear in it, by identity.
        sweep: of the LiDAR.
        echoes: of the radar.
    """

    jpeg: U8
    visible: dict[int, Visible]
    sweep: Sweep
    echoes: Echoes


class Sensors:
    """A scene's camera, LiDAR and radar."""

    def __init__(self, scene: Scene) -> None:
        self._renderer, self._caster, self._radar = Renderer(scene), RayCaster(scene), Radar(scene)

    def shot(self, index: int) -> Shot:
        """Return what they measure at a frame."""
        bgr, visible = self._renderer.render(index)
        ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert ok
        data = np.asarray(jpeg, np.uint8).ravel()
        return Shot(data, visible, self._caster.sweep(index), self._radar.cycle(index))


def shots(scene: Scene, *, workers: int = 1) -> Iterator[Shot]:
    """Give the frames of a scene in order; the same whatever the number of processes.

    Args:
        scene: what to measure.
        workers: processes to share the work; 1 does it in this one.
    """
    if workers <= 1:
        sensors = Sensors(scene)
        yield from (sensors.shot(i) for i in range(scene.n_frames))
        return
    # Forking a process that has threads can deadlock; OpenCV has some.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_equip, initargs=(scene,)) as pool:
        yield from pool.map(_shot, range(scene.n_frames), chunksize=_CHUNK)


_equipment: list[Sensors] = []
"""A worker process's own sensors."""


def _equip(scene: Scene) -> None:
    cv2.setNumThreads(1)
    _equipment.append(Sensors(scene))


def _shot(index: int) -> Shot:
    return _equipment[0].shot(index)
