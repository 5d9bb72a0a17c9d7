# Which LiDAR objects no body could be. See `edgeguard.checks.lidar_ghost`.

# Of a vehicle's middle, windows let some rays through; nats per share beyond.
WINDOWS = 0.45
cdef double GLASS = WINDOWS, PER_SHARE = 20.0, CERTAIN_GHOST = 8.0, GREY_CHANGE = 10.0
# Whose lower edge is higher above the road than that does not stand on it.
STANDING_M = 0.6
cdef double FOOT_M = STANDING_M

# What the camera says of a place where something stood up: nothing, the same at the same moment, all along.
cdef enum:
    SAYS_NOTHING
    SAYS_AT_ONCE
    SAYS_ALL_ALONG

NOTHING, AT_ONCE, ALL_ALONG = SAYS_NOTHING, SAYS_AT_ONCE, SAYS_ALL_ALONG


def ghosts_told(scene, settings):
    """Return (M,) whether each LiDAR object is near, large and far enough inside the image to be told.

    Args:
        scene: `edgeguard.scene.Scene` of M LiDAR objects.
        settings: `edgeguard.checks.lidar_ghost.LidarGhostSettings`.
    """
    seen = scene.objects
    cdef const double[:, :] box = scene.object_boxes, center = seen.center
    cdef const unsigned char[:] matched = flags(seen.matched)
    cdef double max_range = settings.max_range_m, min_height = settings.min_height_px, border = settings.edge_px
    cdef double right = scene.image_size[0] - border if scene.image_size else -INFINITY, wide, high
    told = np.empty(box.shape[0], bool)
    cdef unsigned char[::1] o = told.view(np.uint8)
    cdef Py_ssize_t i
    for i in range(box.shape[0]):
        wide, high = box[i, 2] - box[i, 0], box[i, 3] - box[i, 1]
        # Of a car far off only some rows of rays see a part: what is low and wide is as large.
        o[i] = (
            matched[i] and center[i, 2] <= max_range and larger(high, sqrt(larger(wide * high, 0.0))) >= min_height
            and box[i, 0] >= border and box[i, 2] <= right
        )
    return told


def ghost_births(seen, told, double[::1] width_m, double least_m):
    """Return the rows of the objects told that are large and new on this sweep, or grew by as much.

    Args:
        seen: `edgeguard.tracking.lidar.LidarObjects`, M of them.
        told: (M,) bool.
        width_m: (capacity,) how wide each was on the sweep before; becomes what it is.
        least_m: width and height, metres.
    """
    cdef const Py_ssize_t[:] slot = seen.slot
    cdef const double[:, :] size = seen.size
    cdef const double[:] bottom = seen.bottom
    cdef const unsigned char[:] is_new = flags(seen.is_new), looked = flags(told)
    cdef Py_ssize_t i, s, k = 0
    cdef bint grew
    rows = np.empty(slot.shape[0], np.intp)
    cdef Py_ssize_t[::1] o = rows
    for i in range(slot.shape[0]):
        s = slot[i]
        grew = size[i, 0] - width_m[s] >= least_m
        width_m[s] = size[i, 0]
        if looked[i] and not bottom[i] > FOOT_M:
            if size[i, 0] >= least_m and size[i, 1] >= least_m if is_new[i] else grew:
                o[k] = i
                k += 1
    return rows[:k]


def ghost_surprisal(
    scene, pairing, told, const double[:] passed, double usual_mps, const long long[:] ident, const double[:] rush_mps,
    const double[:] change_grey, const signed char[:] claim, grew,
):
    """Judge LiDAR objects that stood up, and those that rays pass through.

    Args:
        scene: `edgeguard.scene.Scene` of M LiDAR objects.
        pairing: its `edgeguard.pairing.Pairing`.
        told: (M,) from `ghosts_told`.
        passed: (M,) share of rays that pass through each vehicle; NaN elsewhere.
        usual_mps: scale of the speed at which bodies come out of cover, m/s.
        ident: (capacity,) who stood up there last.
        rush_mps, change_grey: (capacity,) how fast it must have come, and how much the picture changed.
        claim: (capacity,) what the camera said of it.
        grew: (capacity,) whether it is a part by which something grew.

    Returns:
        (3, M) surprisal, nats; speed needed, m/s; change of the picture, grey levels; and (M,) whether both sensors
        saw it stand up at once.
    """
    seen = scene.objects
    cdef const Py_ssize_t[:] slot = seen.slot
    cdef const long long[:] number = seen.id, track_of = pairing.track_of
    cdef const double[:] own_box = pairing.own_box
    cdef const double[:, :] box = scene.object_boxes
    cdef const double[:, ::1] occluders = scene.occluders
    cdef const unsigned char[:] looked = flags(told), part = flags(grew)
    cdef bint blind = scene.frame.detections is None, known, together
    cdef Py_ssize_t m = slot.shape[0], i, s
    table, both = nans((3, m)), np.zeros(m, bool)
    cdef double[:, ::1] o = table
    cdef unsigned char[::1] at_once = both.view(np.uint8)
    cdef double born, rush, change
    cdef int said
    for i in range(m):
        s = slot[i]
        known = ident[s] == number[i]
        rush, change, said = NAN, NAN, SAYS_NOTHING
        if known:
            rush, change, said = rush_mps[s], change_grey[s], claim[s]
        together = said == SAYS_AT_ONCE
        if part[s] and not together:
            rush = NAN
        born = clamped(rush / usual_mps, 0.0, CERTAIN_GHOST)
        born *= 1.0 if together else clamped(1.5 - change / (2.0 * GREY_CHANGE), 0.5, 1.0)
        if own_box[i] >= LEAST and not together:
            born = NAN
        if known and (said == SAYS_ALL_ALONG or (track_of[i] >= 0 and not together)):
            born = 0.0
        # Where something nearer is boxed, the camera's silence says nothing; what it says does.
        if blind or (not together and row_covered(box, i, occluders) > 0.5):
            born = NAN
        if looked[i]:
            o[0, i] = fmax(born, clamped(PER_SHARE * (passed[i] - GLASS), 0.0, CERTAIN_GHOST))
        o[1, i], o[2, i] = rush, change
        at_once[i] = together and born > 0
    return table, both
