# Does the LiDAR see through what the camera boxes? See `edgeguard.checks.free_space`.

cdef Py_ssize_t MAX_RAYS = 600, FEWEST_COLUMNS = 4, MOST_COLUMNS = 12
cdef double COMES_BACK = 0.4, IN_FRONT = 0.6
# How benign boxes fall off: nats per share of their width seen through, beyond what loose boxes show.
cdef double LOOSE = 0.15
# Of all its rays, so many may leave a body through its windows and beside its rounded sides.
cdef double BODY_GLASS = 0.35, NATS_PER_SHARE = 25.0, MOST_NATS = 8.0
# Nearer bodies' own ranges tell no more than their boxes' do.
cdef double FAR_M = 12.0
# What the LiDAR holds: the error of its range, how far it may lie from where its box stands (a ratio), how fast
# bodies drive away, how long its rays must have ended there, and how long that holds afterwards.
cdef double HELD_ERROR_M = 1.0, NEARLY = 1.4, LEAVES_MPS = 8.0, LONG_CALM_S = 0.4, FORGET_S = 1.0
# A box that stands so much farther than it did holds something else.
cdef double ELSEWHERE = 1.15
# Where its body stands is known from itself, and not from its box, so much fewer rays tell.
cdef double FEWER = 0.5
# A network's own false boxes are common up to here and rare from here.
cdef double DOUBTFUL = 0.4, SURE_OF_IT = 0.6
# A box ends where another does, to this share of its height, whose body fills so much of its lower half.
cdef double SAME_FOOT = 0.1, FILLS = 0.6
# Nearer to the image's upper or lower border than this, a box may be cut by it.
cdef double RIM_PX = 5.0

# Rows of a (N_BODY_HELD, capacity) table of where the sweep ended on each track.
cdef enum:
    BODY_M  # its body's range; NaN unknown
    STOOD_M  # where its box stood then
    AGO_S
    CALM_S  # for how long its rays had stayed there
    N_BODY_HELD

BODIES_HELD = N_BODY_HELD


@cython.boundscheck(False)
cpdef (double, double, double) seen_through(
    const float[::1] u, const float[::1] v, const float[::1] z, const float[::1] height, const Py_ssize_t[::1] start,
    double x0, double y0, double x1, double y1, double beyond, double length, double tolerance, double slope,
    Py_ssize_t rays_enough, double least, double share, Py_ssize_t fewest, Py_ssize_t most, Py_ssize_t[::1] index,
):
    """Return the widest run of columns of a box that rays pass through, the share of rays that pass, and rays.

    Args:
        u, v, z, height: (M,) pixels, ranges and heights above ground of points, sorted by column of pixels.
        start: first point of each column.
        x0, y0, x1, y1: the box, pixels.
        beyond: range from which a ray that ends on the ground has passed the foot, metres.
        length: how much farther others must end, metres.
        tolerance, slope: height up to which a point is ground, metres, and its growth with range.
        rays_enough: of more rays, every so manieth is looked at.
        least: rays that a column needs.
        share: of its rays that must pass.
        fewest, most: columns; at most 16.
        index: (M,) room to work in.
    """
    cdef Py_ssize_t count = _within(u, v, start, x0, y0, x1, y1, index), step = 1 + count // rays_enough, k, i, c
    cdef Py_ssize_t columns, told = 0, all_passed = 0, run = 0, widest = 0
    cdef int[16] rays, through
    cdef bint ground, passed
    cdef double to_columns
    for k in range(0, count, step):
        i = index[k]
        ground = height[i] < tolerance + slope * z[i]
        told += not ground or z[i] > beyond
    columns = <Py_ssize_t> (told / (2.0 * least))
    columns = fewest if columns < fewest else most if columns > most else columns
    to_columns = columns / (x1 - x0)
    for c in range(columns):
        rays[c] = through[c] = 0
    for k in range(0, count, step):
        i = index[k]
        ground = height[i] < tolerance + slope * z[i]
        # Ground before the foot tells nothing; ground beyond it lies behind the body's near face.
        passed = z[i] > (beyond if ground else beyond + length)
        if ground and not passed:
            continue
        c = cell_of((u[i] - x0) * to_columns, columns)
        rays[c] += 1
        through[c] += passed
        all_passed += passed
    for c in range(columns):
        run = run + 1 if rays[c] >= least and through[c] >= share * rays[c] else 0
        widest = max(widest, run)
    return <double> widest / columns, <double> all_passed / max(told, 1), told


def passed_through(scene, cloud, double[:, ::1] held, settings):
    """Judge how far the LiDAR sees through tracks' boxes.

    Args:
        scene: `edgeguard.scene.Scene` of N tracks, with a sweep, ground and support.
        cloud: its `edgeguard.sweep.Cloud`.
        held: (BODIES_HELD, capacity) of the tracks; written.
        settings: `edgeguard.checks.free_space.FreeSpaceSettings`.

    Returns:
        (5, N) surprisal, nats; widest run of open columns, share of width; share of rays passed; rays; range at which
        a body should stand, metres.
    """
    t, support, frame, lidar = scene.tracks, scene.support, scene.frame, scene.settings.lidar
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), is_new = flags(t.is_new)
    cdef const unsigned char[:] supported = flags(scene.supported), cut = flags(scene.truncated)
    cdef const double[:, :] box = t.xyxy, velocity = t.velocity
    cdef const double[:] foot = scene.foot_range, size_range = scene.size_range
    cdef const double[:] score = t.score, confidence = t.confidence
    cdef const double[:] total = support.total, expected = support.expected, before = support.before
    cdef const double[:] found = support.foreground
    cdef const float[::1] u = cloud.u, v = cloud.v, z = cloud.z, height = cloud.height
    cdef const Py_ssize_t[::1] start = cloud.start
    cdef double bottom = scene.image_size[1] - RIM_PX if scene.image_size else NAN
    cdef double gap_s = fabs(frame.points.stamp_ns - frame.stamp_ns) * 1e-9, dt = scene.dt_s
    cdef double max_range = settings.max_range_m, min_rays = settings.min_rays, margin = 1.0 + settings.range_margin
    cdef double max_slip = settings.max_slip, column_rays = settings.min_column_rays, open_from = settings.seen_through
    cdef double tolerance = lidar.ground_tolerance_m, slope = lidar.ground_slope
    cdef Py_ssize_t[::1] index = np.empty(u.shape[0], np.intp)
    cdef Py_ssize_t n = slot.shape[0], i, s
    table = nans((5, n))
    cdef double[:, ::1] out = table
    cdef double stands, w, h, x0, y0, x1, y1, width, share, rays, least, body_m
    cdef (double, double, double) anew
    cdef bint told, footed
    for i in range(n):
        s, w, h = slot[i], box[i, 2] - box[i, 0], box[i, 3] - box[i, 1]
        # Its rims show what stands beside, above and below.
        x0, y0, x1, y1 = box[i, 0] + 0.05 * w, box[i, 1] + 0.1 * h, box[i, 2] - 0.05 * w, box[i, 3] - 0.1 * h
        stands = fmax(foot[i], size_range[i])
        # Where a box stands, its sides do not tell: its lower edge does.
        footed = box[i, 1] >= RIM_PX and box[i, 3] <= bottom if bottom == bottom else not cut[i]
        told = (
            matched[i] and asserted[i] and SOLID[label[i]] and footed and stands <= max_range
            and total[i] >= FEWER * min_rays
            # Where most rays do not come back at all, nothing was seen through.
            and total[i] >= COMES_BACK * expected[i] and before[i] <= IN_FRONT * total[i]
            and fabs(velocity[i, 0]) * gap_s <= max_slip * w
            and not _stands_on_anothers_foot(box, confidence, matched, supported, i)
        )
        width = share = rays = NAN
        if told and not total[i] < min_rays:
            width, share, rays = seen_through(
                u, v, z, height, start, x0, y0, x1, y1, stands * margin, LENGTH[label[i]], tolerance, slope,
                MAX_RAYS, column_rays, open_from, FEWEST_COLUMNS, MOST_COLUMNS, index,
            )
        body_m, least = _body_m(held, s, is_new[i], matched[i] and supported[i], stands, found[i], dt), min_rays
        if told and stands >= FAR_M and isfinite(body_m):
            anew = seen_through(
                u, v, z, height, start, x0, y0, x1, y1, body_m + HELD_ERROR_M, LENGTH[label[i]], tolerance, slope,
                MAX_RAYS, column_rays, open_from, FEWEST_COLUMNS, MOST_COLUMNS, index,
            )
            if held[AGO_S, s] == 0.0:
                held[CALM_S, s] = held[CALM_S, s] + dt if anew[1] <= BODY_GLASS else 0.0
            # Rays had ended there for long, so that the range is the body's own.
            if held[CALM_S, s] >= LONG_CALM_S and not anew[1] <= share:
                width, share, rays = anew[0], anew[1], anew[2]
                stands, least = body_m, FEWER * min_rays
        if told and rays >= least:
            out[0, i] = clamped(NATS_PER_SHARE * larger(width - LOOSE, share - BODY_GLASS), 0.0, MOST_NATS)
            # What a network claims is this frame's box, and that no surer than it was of the last.
            out[0, i] *= clamped((smaller(confidence[i], score[i]) - DOUBTFUL) / (SURE_OF_IT - DOUBTFUL), 0.0, 1.0)
        out[1, i], out[2, i], out[3, i], out[4, i] = width, share, rays, stands
    return table


cdef bint _stands_on_anothers_foot(
    const double[:, :] box, const double[:] confidence, const unsigned char[:] matched,
    const unsigned char[:] supported, Py_ssize_t i,
):
    """Return whether a surer box, with a body in it, holds the lower half of a box and ends where it does.

    Of what stands behind it networks see the upper half, and draw the rest down to the other's foot.
    """
    cdef double w = box[i, 2] - box[i, 0], h = box[i, 3] - box[i, 1], across, down
    cdef Py_ssize_t j
    for j in range(box.shape[0]):
        if j == i or not (matched[j] and supported[j] and confidence[j] > confidence[i]):
            continue
        across = smaller(box[i, 2], box[j, 2]) - larger(box[i, 0], box[j, 0])
        down = smaller(box[i, 3], box[j, 3]) - larger(box[i, 3] - 0.5 * h, box[j, 1])
        if (
            across > 0 and down > 0 and across * down >= FILLS * 0.5 * w * h
            and fabs(box[i, 3] - box[j, 3]) <= SAME_FOOT * h
        ):
            return True
    return False


cdef double _body_m(double[:, ::1] held, Py_ssize_t s, bint is_new, bint confirmed, double stands, double found, double dt):
    """Return the range of a track's body, or at which it was before it jumped off; NaN else. Take the frame in."""
    if is_new:
        held[BODY_M, s], held[AGO_S, s], held[CALM_S, s] = NAN, 0.0, 0.0
    held[AGO_S, s] += dt
    if not stands <= ELSEWHERE * held[STOOD_M, s] or held[AGO_S, s] > FORGET_S:
        held[BODY_M, s], held[CALM_S, s] = NAN, 0.0
    if (
        confirmed and larger(found, stands) <= NEARLY * smaller(found, stands)
        and not found > held[BODY_M, s] + LEAVES_MPS * held[AGO_S, s] + HELD_ERROR_M
    ):
        # What had jumped and is now followed again begins anew.
        if held[AGO_S, s] > 1.5 * dt:
            held[CALM_S, s] = 0.0
        held[BODY_M, s], held[STOOD_M, s], held[AGO_S, s] = found, stands, 0.0
    return held[BODY_M, s]
