"""Perception engines: a specification, verified weights, a backend, and detections out of images."""

from edgeguard.engine.engine import Engine, open_engine

__all__ = ["Engine", "open_engine"]
