import numpy as np
from numpy.typing import NDArray

from edgeguard.types import F64, I64, U8

_Slots = NDArray[np.intp]

def area(boxes: F64) -> F64: ...
def intersection(a: F64, b: F64) -> F64: ...
def shares(a: F64, b: F64) -> tuple[F64, F64]: ...
def iou(a: F64, b: F64) -> F64: ...
def covered(boxes: F64, by: F64, step_px: float, same: float) -> F64: ...
def kalman_predict(
    position: F64, velocity: F64, pp: F64, pv: F64, vv: F64, slots: _Slots, dt: float, acceleration_sigma: F64
) -> None: ...
def kalman_update(
    position: F64, velocity: F64, pp: F64, pv: F64, vv: F64, slots: _Slots, measured: F64, sigma: F64
) -> tuple[F64, F64]: ...
def trend_advance(s: F64, y: F64, dt: float, fade: float) -> None: ...
def trend_slope(s: F64, y: F64, slots: _Slots) -> F64: ...
def trend_mean(s: F64, y: F64, slots: _Slots) -> F64: ...
def trend_slope_sigma(s: F64, slots: _Slots, sigma: F64) -> F64: ...
def camera_cost(
    predicted: F64,
    log_height: F64,
    group: I64,
    share: F64,
    boxes: F64,
    box_group: I64,
    box_share: F64,
    min_iou: float,
    max_change: float,
    other_class: float,
    apart: float,
) -> F64: ...
def lidar_cost(
    position: F64,
    width: F64,
    reach: F64,
    label: I64,
    place: F64,
    size: F64,
    new_label: I64,
    group: I64,
    alone: float,
    apart: float,
) -> F64: ...
def hulls(corners: F64, center: F64, k: F64) -> F64: ...
def corners(center: F64, size: F64, orientation: F64, matrix: F64) -> tuple[F64, F64, F64]: ...
def rivals(
    track_id: I64,
    partner: I64,
    held_ns: I64,
    track_began_ns: I64,
    vehicle: U8,
    object_id: I64,
    owner: I64,
    boxed_ns: I64,
    object_began_ns: I64,
    person: U8,
) -> U8: ...
def agreement(
    tracks: F64,
    track_range: F64,
    range_gate: F64,
    fit_gate: F64,
    box_range: F64,
    objects: F64,
    object_range: F64,
    measured: U8,
    fits: float,
    size_gate: float,
    resized_gate: float,
    whole: bool,
) -> tuple[F64, U8]: ...
def offers(
    detections: F64,
    track_of: I64,
    objects: F64,
    measured: U8,
    by_track: F64,
    rival: U8,
    loyal_object: I64,
    same: float,
    loyalty: float,
    whole: bool,
) -> tuple[F64, F64, F64]: ...
def settled(
    by_track: F64,
    apart: U8,
    rival: U8,
    plain: F64,
    overlap: F64,
    track_of: I64,
    row: _Slots,
    column: _Slots,
    plain_row: _Slots,
    plain_column: _Slots,
    least: float,
    same: float,
    whole: bool,
) -> tuple[I64, I64, F64, I64, F64, F64, F64, F64, F64]: ...
