"""Perception engines: a specification, verified weights, a backend, and detections out of images."""

from edgeguard.engine.engine import Engine, open_engine
from edgeguard.engine.raw import RawImage

__all__ = ["Engine", "RawImage", "open_engine"]
