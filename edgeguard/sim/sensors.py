"""What the vehicle's sensors are like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Imager:
    """How the camera's sensor turns light into an image. An image's stamp is the middle of its exposure.

    Attributes:
        noise_sigma: noise at a gain of 1, grey values; it grows with the root of the gain.
        exposure_s: time that every row gathers light: motion blur.
        readout_s: time from the first row's exposure to the last row's: rolling shutter; 0 is global.
        adaptation_s: time in which auto exposure follows the light.
        max_gain: brightening that auto exposure may reach.
    """

    noise_sigma: float = 2.0
    exposure_s: float = 0.004
    readout_s: float = 0.012
    adaptation_s: float = 0.4
    max_gain: float = 6.0


@dataclass(frozen=True, slots=True)
class LidarModel:
    """A spinning LiDAR.

    Attributes:
        elevation_deg: one beam each, degrees above its horizon.
        azimuth_step_deg: degrees between two firings.
        max_range_m: nothing comes back from farther.
        range_sigma_m: standard deviation of range.
        drop_out: share of returns lost at random.
    """

    elevation_deg: tuple[float, ...] = tuple(np.r_[3.0:-9.0:24j, -10.5:-25.0:8j].tolist())
    azimuth_step_deg: float = 0.4
    max_range_m: float = 90.0
    range_sigma_m: float = 0.02
    drop_out: float = 0.02


@dataclass(frozen=True, slots=True)
class RadarModel:
    """A forward-looking 77 GHz radar that gives detections with Doppler.

    Attributes:
        half_view_deg: it sees so far to either side.
        max_range_m: it reports nothing from farther.
        range_sigma_m, azimuth_sigma_deg, rate_sigma_mps: standard deviations of what it measures.
        snr_1m_db: signal to noise of a target of 1 square metre at 1 m; falls with the fourth power of range.
        threshold_db: what is weaker is not detected.
        clutter: detections of nothing in a cycle, on average.
    """

    half_view_deg: float = 60.0
    max_range_m: float = 100.0
    range_sigma_m: float = 0.1
    azimuth_sigma_deg: float = 0.5
    rate_sigma_mps: float = 0.1
    snr_1m_db: float = 85.0
    threshold_db: float = 11.0
    clutter: float = 1.0
