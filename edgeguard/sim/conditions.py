"""What lights the world and what is in its air."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Light:
    """What lights the world.

    Attributes:
        ambient: the sky's light, 1 is day.
        headlights: light of the ego's own lamps on what stands 10 m ahead, in the same unit.
        lamp_spacing_m: street lamps stand so far apart; 0 has none.
        tunnel: x from and to of a tunnel, metres; the sky's light does not get in.
        tunnel_light: light of the tunnel's own lamps.
    """

    ambient: float = 1.0
    headlights: float = 0.0
    lamp_spacing_m: float = 0.0
    tunnel: tuple[float, float] | None = None
    tunnel_light: float = 0.3


@dataclass(frozen=True, slots=True)
class Weather:
    """What is in the air.

    Attributes:
        rain_mm_h: rain rate.
        visibility_m: meteorological range: contrast falls to 5 % of its own over it; inf is clear air.
    """

    rain_mm_h: float = 0.0
    visibility_m: float = float("inf")
