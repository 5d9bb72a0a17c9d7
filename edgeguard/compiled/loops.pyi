from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeguard.checks.birth_death import BirthDeathSettings
from edgeguard.checks.class_stability import ClassStabilitySettings
from edgeguard.checks.confidence import ConfidenceSettings
from edgeguard.checks.depth_agreement import DepthAgreementSettings
from edgeguard.checks.expansion import ExpansionSettings
from edgeguard.checks.free_space import FreeSpaceSettings
from edgeguard.checks.kinematic_class import KinematicClassSettings
from edgeguard.checks.lidar_ghost import LidarGhostSettings
from edgeguard.checks.object_agreement import ObjectAgreementSettings
from edgeguard.checks.patch_saliency import PatchSaliencySettings
from edgeguard.pairing import Pairing
from edgeguard.scene import Scene, Support
from edgeguard.sweep import Cloud
from edgeguard.tracking.camera import Tracks
from edgeguard.tracking.kalman import Slots
from edgeguard.tracking.lidar import LidarBoxes, LidarObjects
from edgeguard.types import F32, F64, I64, U8, Detections

_Index = NDArray[np.intp]
_I32 = NDArray[np.int32]
_I16 = NDArray[np.int16]
_Bool = NDArray[np.bool_]

# objects.pxi
def area(boxes: F64) -> F64: ...
def intersection(a: F64, b: F64) -> F64: ...
def shares(a: F64, b: F64) -> tuple[F64, F64]: ...
def iou(a: F64, b: F64) -> F64: ...
def corners(center: F64, size: F64, orientation: F64, matrix: F64) -> tuple[F64, F64, F64]: ...
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
    row: _Index,
    column: _Index,
    plain_row: _Index,
    plain_column: _Index,
    least: float,
    same: float,
    whole: bool,
) -> tuple[I64, I64, F64, I64, F64, F64, F64, F64, F64]: ...
def outline(surprisal: F64) -> tuple[float, int]: ...
def gather(
    evidence: F64,
    onset_ns: I64,
    rows: _Index,
    surprisal: F64,
    stamp_ns: int,
    log_kappa: float,
    slope: float,
    most: float,
    share: float,
    fade: float,
    ceiling: float,
    threshold: float,
) -> tuple[F64, I64, U8, int]: ...

# trackers.pxi
FILTER: int
FOLLOWED: int
BODY: int

def kalman_predict(bank: F64, slots: _Index, dt: float, acceleration_sigma: F64) -> None: ...
def kalman_update(bank: F64, slots: _Index, measured: F64, sigma: F64) -> tuple[F64, F64]: ...
def survivors(followed: I64, slots: _Index, stamp_ns: int, dt: float, max_coast_s: float) -> _Index: ...
def camera_predict(bank: F64, followed: I64, slots: _Index, before_ns: int, dt: float) -> None: ...
def predicted_boxes(bank: F64, slots: _Index) -> F64: ...
def camera_correct(bank: F64, followed: I64, slots: _Index, rows: _Index, boxes: F64) -> tuple[F64, F64]: ...
def camera_see(
    followed: I64, looks: F64, slots: _Index, stamp_ns: int, score: F64, label: I64, boxes: F64
) -> None: ...
def camera_tracks(
    bank: F64, followed: I64, looks: F64, slots: _Index, detection: I64, stamp_ns: int, first_new: int
) -> tuple[I64, I64, I64, F64, F64, F64, F64, F64, F64, F64, _Bool, _Bool]: ...
def camera_cost(
    predicted: F64,
    bank: F64,
    followed: I64,
    slots: _Index,
    rows: _Index,
    boxes: F64,
    label: I64,
    columns: _Index,
    dt: float,
    min_iou: float,
    apart: float,
) -> F64: ...
def affordable(
    cost: F64, r: _Index, c: _Index, rows: _Index, columns: _Index, apart: float
) -> tuple[_Index, _Index]: ...
def unheld(
    boxes: F64,
    score: F64,
    found: _Index,
    birth_score: float,
    followed: I64,
    looks: F64,
    alive: _Index,
    stamp_ns: int,
) -> _Index: ...
def lidar_predict(bank: F64, slots: _Index, dt: float) -> None: ...
def lidar_cost(
    bank: F64,
    followed: I64,
    body: F64,
    slots: _Index,
    measured: LidarBoxes,
    index: _Index,
    gate: float,
    speed: float,
    dt: float,
    alone: float,
    apart: float,
) -> F64: ...
def lidar_see(
    bank: F64,
    followed: I64,
    body: F64,
    corner: F64,
    slots: _Index,
    measured: LidarBoxes,
    index: _Index,
    stamp_ns: int,
    begun: bool,
) -> None: ...
def lidar_objects(
    bank: F64,
    followed: I64,
    body: F64,
    corner: F64,
    slots: _Index,
    camera: F64,
    stamp_ns: int,
    first_new: int,
) -> tuple[I64, I64, I64, I64, I64, F64, F64, F64, F64, F64, F64, F64, F64, _Bool, _Bool]: ...
def usable(boxes: F64, score: F64, label: I64, low: float) -> I64: ...
def believable(detections: Detections, low: float) -> F64: ...

# tracks.pxi
def covered(boxes: F64, by: F64) -> F64: ...
def hold(held_s: F64, slots: _Index, is_new: _Bool, now: _Bool | None, dt: float) -> F64: ...
def views(
    t: Tracks,
    image_size: tuple[float, float] | None,
    focal: float,
    apart_s: F64,
    dt: float,
    asserted_from: float,
) -> tuple[_Bool, F64, F64, _Bool, _Bool, F64, F64, F64, Slots]: ...
def cores(boxes: F64) -> F64: ...
def foot_ranges(boxes: F64, k: F64, plane: F64) -> F64: ...
def known_ranges(foreground: F64, size_range: F64) -> F64: ...
def confirmed(support: Support | None, overlap: F64) -> _Bool: ...
def depth_surprisal(scene: Scene, support: Support, spread: F64, settings: DepthAgreementSettings) -> F64: ...
def follow_returns(scene: Scene, support: Support, memory: F64, gone: _Bool) -> tuple[F64, _Index]: ...

AS_TALL: float

def doubtful_lidar(held_s: F64, support: Support | None) -> _Bool: ...

# habits.pxi
MIN_OVERLAP: float
SURE_OVERLAP: float
HABITS: int
SEATS: int

# bonds.pxi
BONDS: int
BOND_RANGES: int
OWNERS: int

def held_range(bonds: I64, ranges: F64, slots: Slots, stamp_ns: int) -> F64: ...
def expected(
    stamp_ns: int,
    detections: int,
    t: Tracks,
    size_range: F64,
    seen: LidarObjects,
    whole: bool,
    bonds: I64,
    ranges: F64,
    owners: I64,
) -> tuple[I64, F64, I64, U8]: ...
def bond(
    stamp_ns: int,
    t: Tracks,
    size_range: F64,
    seen: LidarObjects,
    pairing: Pairing,
    whole: bool,
    bonds: I64,
    ranges: F64,
    owners: I64,
) -> None: ...

# agreement.pxi
def tracks_lidar_misses(
    scene: Scene,
    pairing: Pairing,
    habits: F64,
    partners: I64,
    seats: F64,
    lost: F64 | None,
    settings: ObjectAgreementSettings,
) -> tuple[F64, _Bool]: ...
def objects_in_view(scene: Scene, settings: ObjectAgreementSettings) -> tuple[F64, F64, _Bool]: ...
def objects_camera_misses(
    scene: Scene,
    pairing: Pairing,
    hidden: F64,
    visible: F64,
    appeared: _Bool,
    habits: F64,
    settings: ObjectAgreementSettings,
) -> tuple[F64, _Bool]: ...

# bodies.pxi
BODIES: int

def bodies_camera_lost(scene: Scene, pairing: Pairing, bodies: F64, habits: F64) -> F64: ...

# ghosts.pxi
WINDOWS: float
STANDING_M: float
NOTHING: int
AT_ONCE: int
ALL_ALONG: int

def ghosts_told(scene: Scene, settings: LidarGhostSettings) -> _Bool: ...
def ghost_births(seen: LidarObjects, told: _Bool, width_m: F64, least_m: float) -> _Index: ...
def ghost_surprisal(
    scene: Scene,
    pairing: Pairing,
    told: _Bool,
    passed: F64,
    usual_mps: float,
    ident: I64,
    rush_mps: F64,
    change_grey: F64,
    claim: NDArray[np.int8],
    grew: _Bool,
) -> tuple[F64, _Bool]: ...

# motion.pxi
def leaps(scene: Scene, spread: F64, tail: float) -> F64: ...
def births_and_deaths(scene: Scene, settled: bool, memory: F64, settings: BirthDeathSettings) -> F64: ...
def growth_against_closing(scene: Scene, lines: F64, memory: F64, settings: ExpansionSettings) -> F64: ...

# classes.pxi
CALLED: int
CONFIDENCES: int

def class_surprisal(
    scene: Scene, counts: F64, called: F64, kindred: F64, settings: ClassStabilitySettings
) -> F64: ...
def unlike_class(
    scene: Scene,
    shapes: F64,
    velocities: F64,
    known_s: F64,
    who: I64,
    grounded: bool,
    regrounded: bool,
    mean: F64,
    sigma: F64,
    settings: KinematicClassSettings,
) -> F64: ...
def lost_faith(scene: Scene, memory: F64, scale: F64, settings: ConfidenceSettings) -> F64: ...

# points.pxi
def in_view(xyz: F32, matrix: F64, left: float, right: float) -> F32: ...
def pinhole(xyz: F32, k: F64, cone: float, width: float, height: float) -> tuple[F32, _Bool]: ...
def by_column(
    xyz: F32, uv: F32, inside: _Bool, nearest: float, width: int
) -> tuple[F32, F32, F32, F32, _Index]: ...
def pinhole_view(
    xyz: F32,
    matrix: F64,
    left: float,
    right: float,
    k: F64,
    cone: float,
    width: int,
    height: int,
    nearest: float,
) -> tuple[F32, F32, F32, F32, _Index]: ...
def in_box(u: F32, v: F32, start: _Index, x0: float, y0: float, x1: float, y1: float) -> _Index: ...
def on_body(cloud: Cloud, box: F64, center: F64, size: F64, slack: float, least: float) -> _Index: ...
def nearest_body(z: F32, least: float, share: float, thickness: float, enough: int) -> float: ...
def body_support(
    u: F32,
    v: F32,
    z: F32,
    above: _Bool | None,
    start: _Index,
    boxes: F64,
    expected_range: F64,
    spread: F64,
    length: F64,
    thickness: float,
    enough: int,
) -> F64: ...
def heights(xyz: F32, plane: F64, tolerance: float, slope: float) -> tuple[F32, _Bool]: ...
def lowest(xyz: F32, near: float, far: float, side: int) -> tuple[F64, int]: ...
def tukey_plane(low: F64, start: F64, scales: F64, least: int) -> tuple[F64, int] | None: ...
def occupy(
    xyz: F32,
    height: F32,
    above: _Bool,
    max_height: float,
    max_range: float,
    side: float,
    cell: float,
    columns: int,
    rows: int,
) -> tuple[U8, _Index, _I32]: ...
def components(grid: U8) -> tuple[_I32, int]: ...
def bodies(
    xyz: F32, u: F32, v: F32, height: F32, index: _Index, place: _I32, label: _I32, labels: int, least: int
) -> tuple[F64, F64, F64, F64, I64]: ...
def depth_cells(
    u: F32, v: F32, z: F32, rows: int, columns: int, across: float, down: float
) -> tuple[F32, F32, _I32, _I32]: ...
def wider_cells(near: F32, far: F32, count: _I32, across: int) -> tuple[F32, F32, I64]: ...
def upper_counts(count: I64, down: int, across: int, quantile: float) -> F64: ...
def hole_sizes(stats: _I32, first: int, cell_px: float, rim: float, k: F64, plane: F64) -> F64: ...
def near_occupied(grid: U8, column: _Index, row: _Index, reach: int) -> int: ...
def few_returns(found: F64, expected: F64, told: U8, shape: float, enough: float) -> F64: ...
def expected_returns(boxes: F64, density: F64, row_px: float, width: float) -> F64: ...

# freespace.pxi
BODIES_HELD: int

def seen_through(
    u: F32,
    v: F32,
    z: F32,
    height: F32,
    start: _Index,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    beyond: float,
    length: float,
    tolerance: float,
    slope: float,
    rays_enough: int,
    least: float,
    share: float,
    fewest: int,
    most: int,
    index: _Index,
) -> tuple[float, float, float]: ...
def passed_through(scene: Scene, cloud: Cloud, held: F64, settings: FreeSpaceSettings) -> F64: ...

# images.pxi
def content(pixels: U8, size: int, flat: float, dark: int, bright: int) -> tuple[float, float, float]: ...
def coarser(near: F32, size: int) -> F32: ...
def empty_cells(count: I64, usual: F32, first: int, share: float, least: float) -> U8: ...
def torn_share(near: F32, far: F32, count: I64, width: int, least: int, ratio: float) -> float: ...
def row_ranks(pixels: U8, first: int, rank: int) -> U8: ...
def middle_grey(pixels: U8) -> float: ...
def halved(bgr: U8, size: int) -> tuple[U8, _I16]: ...
def colour_cells(colours: _I16, size: int) -> F32: ...
def sobel(pixels: U8, down: bool) -> tuple[F32, F64]: ...
def bounded_share(strength: F32, usual: F64, most: float) -> None: ...
def changed_share(now: F32, before: F32, ratio: float, least: int) -> float: ...
def side_rims(nearest: F32, reach: float, ratio: float, across: int, down: int, step: int) -> I64: ...
def top_rims(
    nearest: F32,
    cell: _I32,
    z: F32,
    height: F32,
    least: float,
    reach: float,
    ratio: float,
    across: int,
    down: int,
    step: int,
) -> I64: ...
def flat_places(at: I64, rows: int, columns: int) -> I64: ...
def lag_means(pictures: Sequence[F32], places: Sequence[I64]) -> F64: ...
def flow_rows(scene: Scene, boxes: F64, min_size: float, most: int) -> tuple[_Index, F64]: ...
def flow_places(boxes: F64, grid: F64, width: int, height: int, rim: float) -> tuple[F32, _Index]: ...
def flow_found(
    at: F32, then: F32, found: U8, error: F32, index: _Index, n: int, p: int, max_error: float
) -> tuple[F64, U8]: ...
def slips(now: F64, before: F64, flow: F64, good: U8, share: float) -> F64: ...
def growth(xyxy: F64, flow: F64, good: U8, grid: F64, inside: U8, outlier: float, least: int) -> F64: ...
def flow_surprisal(
    state: F64,
    xyxy: F64,
    box_noise: float,
    flow_noise: float,
    tail: float,
    plane_power: float,
    min_growth: float,
    min_age: float,
) -> F64: ...
def remember_flow(
    state: F64, slots: _Index, rows: _Index, moved: F64, grown: F64, keep: float, dt: float
) -> None: ...
def patch_surprisal(
    scene: Scene,
    colours: _I16,
    cell: int,
    cell_px: float,
    least: int,
    most: float,
    settings: PatchSaliencySettings,
) -> F64: ...
def patch_energy(cells: F32, boxes: F64, cell_px: float, share: float, least: int) -> F64: ...
def alignment(picture: F32, at: I64, shifts: I64, weak: float) -> tuple[F64, int]: ...
def outside(cells: F32, boxes: F64, cell_px: float) -> F32: ...

# rendering.pxi
def paint(
    bgr: U8,
    inverse_depth: F32,
    owner: _I32,
    glow: F32 | None,
    patch: U8,
    mask: U8,
    x0: int,
    y0: int,
    a: float,
    b: float,
    c: float,
    who: int,
    shine: float,
    cover: U8 | None,
    solid: int,
) -> None: ...
def cast(
    rays: F32,
    to_box: F32,
    low: F32,
    high: F32,
    reflectivity: float,
    who: int,
    range_m: F32,
    intensity: F32,
    owner: _I32,
) -> None: ...
