"""Perception and monitor in one process: the same verdicts' shape, and an engine that fails in mid-run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener


def test_it_detects_and_judges_in_one_process(
    shared: Path, recording: Path, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from vision_msgs.msg import Detection2DArray

    from ros_nodes import qos
    from ros_nodes.verdict_msg import from_message
    from tests.ros_nodes.live import node, player, verdicts

    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    heard = listener.listen(DiagnosticArray, "/verdict")
    found = listener.listen(Detection2DArray, "/found", qos.RESULT)
    settings = {"use_sim_time": True, "deadline__latency_budget_ms": 10000.0}
    with node("edgeguard_node", tmp_path, topics={"output/detections": "/found"}, **settings):
        wait = ["/camera/image", "/lidar/points", "/tf_static"]
        with player(recording, tmp_path, "--rate", "0.4", "--wait", *wait):
            judged = {
                "image": lambda m: from_message(m).has_image,
                "LiDAR against detections": lambda m: from_message(m).coverage["lidar_support"].passed,
            }
            listener.wait_for(lambda: found and found[-1].detections)
            for test in judged.values():
                listener.wait_for(lambda t=test: any(t(m) for m in verdicts(heard)))


class Breaking:
    """An engine that fails on its second image."""

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, image: Image) -> Detections:
        self.seen += 1
        if self.seen == 2:
            raise EngineError("breaking", "out of memory", "use a smaller one")
        return Detections.empty(image.stamp_ns)


def test_an_engine_that_fails_in_mid_run_is_told_and_goes_on() -> None:
    from ros_nodes.edgeguard_node import Detecting

    results, arrived = [], threading.Semaphore(0)

    def take(image: Image, result: object) -> None:
        results.append((image.stamp_ns, type(result)))
        arrived.release()

    detecting = Detecting(Breaking(), take)
    detecting.start()
    for stamp in (1, 2, 3):
        detecting.offer(Image(stamp, "camera", np.zeros((4, 4, 3), np.uint8)))
        assert arrived.acquire(timeout=10)
    detecting.stop()
    assert results == [(1, Detections), (2, EngineError), (3, Detections)]


def test_only_the_newest_image_waits_for_the_engine() -> None:
    from ros_nodes.edgeguard_node import Detecting

    class Slow:
        def __init__(self) -> None:
            self.go, self.entered = threading.Event(), threading.Event()

        def detect(self, image: Image) -> Detections:
            self.entered.set()
            assert self.go.wait(10)
            return Detections.empty(image.stamp_ns)

    engine, seen, done = Slow(), [], threading.Event()

    def take(image: Image, result: object) -> None:
        seen.append(image.stamp_ns)
        if image.stamp_ns == 4:
            done.set()

    detecting = Detecting(engine, take)
    detecting.start()
    for stamp in (1, 2, 3, 4):
        detecting.offer(Image(stamp, "camera", np.zeros((4, 4, 3), np.uint8)))
        if stamp == 1:
            assert engine.entered.wait(10)
    engine.go.set()
    assert done.wait(10)
    detecting.stop()
    assert seen == [1, 4]
