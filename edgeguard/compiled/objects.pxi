# Boxes and objects: overlaps, filters, costs of pairing. Arrays are small; each call is one loop.

cdef inline double larger(double a, double b):
    """Return the larger; NaN if either is, as `np.maximum` does."""
    return a if a >= b or a != a else b


cdef inline double smaller(double a, double b):
    """Return the smaller; NaN if either is, as `np.minimum` does."""
    return a if a <= b or a != a else b


cdef nans(shape):
    """Return an array of NaN; `np.full` takes three times as long for a small one."""
    out = np.empty(shape)
    out.fill(NAN)
    return out


cdef inline double area_of(const double[:, :] a, Py_ssize_t i):
    return larger(a[i, 2] - a[i, 0], 0.0) * larger(a[i, 3] - a[i, 1], 0.0)


cdef inline double common(const double[:, :] a, Py_ssize_t i, const double[:, :] b, Py_ssize_t j):
    """Return the area that two boxes share."""
    cdef double w = larger(smaller(a[i, 2], b[j, 2]) - larger(a[i, 0], b[j, 0]), 0.0)
    cdef double h = larger(smaller(a[i, 3], b[j, 3]) - larger(a[i, 1], b[j, 1]), 0.0)
    return w * h


cdef inline double union_of(double a, double b, double both):
    return larger(a + b - both, 1e-9)


cdef inline double part_overlap(double a, double b, double both):
    """Return the IoU, or most of the smaller one's covered share where one box of `a` and `b` holds the other."""
    cdef double small = larger(smaller(a, b), 1e-9), large = larger(larger(a, b), 1e-9)
    cdef double iou = both / union_of(a, b, both)
    return larger(iou, 0.6 * both / small) if small / large > 0.15 else larger(iou, 0.0)


cdef inline double iou_of(const double[:, :] a, Py_ssize_t i, const double[:, :] b, Py_ssize_t j):
    cdef double both = common(a, i, b, j)
    return both / union_of(area_of(a, i), area_of(b, j), both)


cdef inline double both_tails(double sigmas):
    """Return −ln of how often a Gaussian strays that many standard deviations to either side; at most 69."""
    return -log(larger(erfc(sigmas / sqrt(2.0)), 1e-30))


def area(const double[:, :] boxes):
    out = np.empty(boxes.shape[0])
    cdef double[::1] o = out
    cdef Py_ssize_t i
    for i in range(boxes.shape[0]):
        o[i] = area_of(boxes, i)
    return out


def intersection(const double[:, :] a, const double[:, :] b):
    out = np.empty((a.shape[0], b.shape[0]))
    cdef double[:, ::1] o = out
    cdef Py_ssize_t i, j
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            o[i, j] = common(a, i, b, j)
    return out


def shares(const double[:, :] a, const double[:, :] b):
    iou, inner = np.empty((a.shape[0], b.shape[0])), np.empty((a.shape[0], b.shape[0]))
    cdef double[:, ::1] o = iou, s = inner
    cdef double own, both
    cdef Py_ssize_t i, j
    for i in range(a.shape[0]):
        own = area_of(a, i)
        for j in range(b.shape[0]):
            both = common(a, i, b, j)
            o[i, j] = both / union_of(own, area_of(b, j), both)
            s[i, j] = both / larger(own, 1e-9)
    return iou, inner


def iou(const double[:, :] a, const double[:, :] b):
    out = np.empty((a.shape[0], b.shape[0]))
    cdef double[:, ::1] o = out
    cdef Py_ssize_t i, j
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            o[i, j] = iou_of(a, i, b, j)
    return out


cdef double[:, ::1] _grown(const double[:, :] boxes, const double[:] share):
    cdef double[:, ::1] o = np.empty((boxes.shape[0], 4))
    cdef Py_ssize_t i
    cdef double w, h
    for i in range(boxes.shape[0]):
        w, h = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        o[i, 0], o[i, 1] = boxes[i, 0] - share[i] * w, boxes[i, 1] - share[i] * h
        o[i, 2], o[i, 3] = boxes[i, 2] + share[i] * w, boxes[i, 3] + share[i] * h
    return o


cdef void hull(
    const double[:, :, :] corners, Py_ssize_t c, const double[:, :] center, Py_ssize_t i, const double[:, :] k,
    double[:, ::1] out,
):
    """Write into row `i` of `out` the box in the image around 8 corners, given from a centre; NaN where a corner is
    not 0.3 m ahead.

    Distortion is left out: outside the image its polynomial means nothing, and inside it moves a box's edge by less
    than the detector's own noise.
    """
    cdef Py_ssize_t j
    cdef double z, u, v
    for j in range(corners.shape[1]):
        z = center[i, 2] + corners[c, j, 2]
        if not z > 0.3:
            out[i, 0] = out[i, 1] = out[i, 2] = out[i, 3] = NAN
            return
        u = k[0, 0] * (center[i, 0] + corners[c, j, 0]) / z + k[0, 2]
        v = k[1, 1] * (center[i, 1] + corners[c, j, 1]) / z + k[1, 2]
        if j == 0:
            out[i, 0] = out[i, 2] = u
            out[i, 1] = out[i, 3] = v
        else:
            out[i, 0], out[i, 2] = smaller(out[i, 0], u), larger(out[i, 2], u)
            out[i, 1], out[i, 3] = smaller(out[i, 1], v), larger(out[i, 3], v)


def corners(
    const double[:, :] center, const double[:, :] size, const double[:, :] orientation, const double[:, :] matrix
):
    """Return (N, 3) centres, (N, 8, 3) corners and (N, 3) extents of oriented boxes after a (4, 4) transform.

    Args:
        center: (N, 3) metres.
        size: (N, 3) along the boxes' own axes, metres.
        orientation: (N, 4) quaternions x, y, z, w.
        matrix: (4, 4) from the boxes' frame to the one wanted.
    """
    cdef Py_ssize_t n = center.shape[0], i, c, a, b
    middles, points, extents = np.empty((n, 3)), np.empty((n, 8, 3)), np.empty((n, 3))
    cdef double[:, ::1] mid = middles, extent = extents
    cdef double[:, :, ::1] p = points
    cdef double x, y, z, w, low, high
    cdef double[3][3] r
    cdef double[3] half, at
    for i in range(n):
        x, y, z, w = orientation[i, 0], orientation[i, 1], orientation[i, 2], orientation[i, 3]
        r[0][0], r[0][1], r[0][2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
        r[1][0], r[1][1], r[1][2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
        r[2][0], r[2][1], r[2][2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
        for a in range(3):
            mid[i, a] = matrix[a, 3]
            for b in range(3):
                mid[i, a] += matrix[a, b] * center[i, b]
        for c in range(8):
            half[0] = size[i, 0] * (0.5 if c & 4 else -0.5)
            half[1] = size[i, 1] * (0.5 if c & 2 else -0.5)
            half[2] = size[i, 2] * (0.5 if c & 1 else -0.5)
            for a in range(3):
                at[a] = center[i, a]
                for b in range(3):
                    at[a] += r[a][b] * half[b]
            for a in range(3):
                p[i, c, a] = matrix[a, 3]
                for b in range(3):
                    p[i, c, a] += matrix[a, b] * at[b]
        for a in range(3):
            low = high = p[i, 0, a]
            for c in range(1, 8):
                low, high = smaller(low, p[i, c, a]), larger(high, p[i, c, a])
            extent[i, a] = high - low
    return middles, points, extents


def agreement(
    const double[:, :] tracks, const double[:] track_range, const double[:] range_gate, const double[:] fit_gate,
    const double[:] box_range, const double[:, :] objects, const double[:] object_range,
    const unsigned char[:] measured, double fits, double size_gate, double resized_gate, bint whole,
):
    """Return (N, M) how well objects cover tracks, 0 where they are two things, and whether they stand apart.

    Args:
        tracks, objects: (N, 4) and (M, 4) boxes.
        track_range, object_range: (N,) and (M,) metres.
        range_gate, fit_gate, box_range, measured, whole: as in `edgeguard.pairing.pair`.
        fits: overlap from which `fit_gate` counts.
        size_gate: ratio of ranges (logarithm) by a track's own size within which a pair is not apart.
        resized_gate: the same, beyond which parts are.
    """
    cdef Py_ssize_t n = tracks.shape[0], m = objects.shape[0], i, j
    cover, apart = np.zeros((n, m)), np.zeros((n, m), np.uint8)
    cdef double[:, ::1] o = cover
    cdef unsigned char[:, ::1] far = apart
    cdef double own, other, both, fit, off, resized, expected, sized
    cdef double[::1] z = np.empty(m)
    cdef bint two
    for j in range(m):
        z[j] = log(larger(object_range[j], 0.5))
    for i in range(n):
        own, expected, sized = area_of(tracks, i), log(track_range[i]), log(box_range[i])
        for j in range(m):
            both, other = common(tracks, i, objects, j), area_of(objects, j)
            fit = both / union_of(own, other, both) if whole else part_overlap(own, other, both)
            # A box in front of a far object overlaps it too: they must also stand at about one range.
            off, resized = fabs(z[j] - expected), fabs(z[j] - sized)
            two = off > (fit_gate[i] if fit >= fits else range_gate[i])
            two = two and not resized < size_gate
            # A box inside a cluster's outline may be a far thing beside it: its size gives it away.
            two = two or (not whole and resized > resized_gate)
            far[i, j] = two
            o[i, j] = fit if measured[j] and not two else 0.0
    return cover, apart


def offers(
    const double[:, :] detections, const long long[:] track_of, const double[:, :] objects,
    const unsigned char[:] measured, const double[:, ::1] by_track, const unsigned char[:, ::1] rival,
    const long long[:] loyal_object, double same, double loyalty, bint whole,
):
    """Return what each detection and object offer one another, all (D, M).

    Args:
        detections, objects: (D, 4) and (M, 4) boxes.
        track_of: (D,) row of the detection's track, -1 none.
        measured, loyal_object, whole: as in `edgeguard.pairing.pair`.
        by_track: (N, M) from `agreement`.
        rival: (N, M) whether a track and an object are known to be two things.
        same: overlap from which identities must have slipped.
        loyalty: what a former partner is worth.

    Returns:
        Overlap of boxes alone; overlap with the track's, where it has one; the same less 0 where a track only
        brushes its rival, plus loyalty.
    """
    cdef Py_ssize_t d = detections.shape[0], m = objects.shape[0], i, j, t
    plain, overlap, value = np.zeros((d, m)), np.zeros((d, m)), np.zeros((d, m))
    cdef double[:, ::1] p = plain, o = overlap, v = value
    cdef double own, other, both
    for i in range(d):
        own, t = area_of(detections, i), track_of[i]
        for j in range(m):
            if measured[j]:
                both, other = common(detections, i, objects, j), area_of(objects, j)
                p[i, j] = both / union_of(own, other, both) if whole else part_overlap(own, other, both)
            o[i, j] = by_track[t, j] if t >= 0 else p[i, j]
            v[i, j] = 0.0 if t >= 0 and rival[t, j] and by_track[t, j] < same else o[i, j]
        if t >= 0 and loyal_object[t] >= 0 and v[i, loyal_object[t]] > 0:
            v[i, loyal_object[t]] += loyalty
    return plain, overlap, value


def settled(
    const double[:, ::1] by_track, const unsigned char[:, ::1] apart, const unsigned char[:, ::1] rival,
    const double[:, ::1] plain, const double[:, ::1] overlap, const long long[:] track_of,
    const Py_ssize_t[:] row, const Py_ssize_t[:] column, const Py_ssize_t[:] plain_row,
    const Py_ssize_t[:] plain_column, double least, double same, bint whole,
):
    """Return the fields of `edgeguard.pairing.Pairing` that follow from an assignment, in their order.

    Args:
        by_track, apart, rival: (N, M), as above.
        plain, overlap: (D, M) from `offers`.
        track_of: (D,) row of the detection's track, -1 none.
        row, column: (K,) detections and objects of the best total value.
        plain_row, plain_column: (K,) those of the best total plain overlap.
        least: overlap below which nothing is paired.
        same, whole: as above.
    """
    cdef Py_ssize_t n = by_track.shape[0], m = by_track.shape[1], d = track_of.shape[0], i, j, k, t
    object_of, track_of_object = np.full(n, -1, np.int64), np.full(m, -1, np.int64)
    boxed, box_of = np.zeros(m), np.full(m, -1, np.int64)
    object_overlap, any_object, own_object = np.zeros(n), np.zeros(n), np.zeros(n)
    any_box, own_box = np.zeros(m), np.zeros(m)
    cdef long long[::1] oo = object_of, to = track_of_object, bo = box_of
    cdef double[::1] b = boxed, ov = object_overlap, ao = any_object, wo = own_object, ab = any_box, wb = own_box
    cdef long long[::1] claimed = np.full(d, -1, np.int64)
    cdef bint foreign
    for k in range(row.shape[0]):
        i, j = row[k], column[k]
        t = track_of[i]
        if overlap[i, j] < least or (t >= 0 and rival[t, j] and by_track[t, j] < same):
            continue
        b[j], bo[j] = overlap[i, j], i
        if t >= 0:
            oo[t], to[j] = j, t
    for t in range(n):
        if oo[t] >= 0:
            ov[t] = b[oo[t]]
        for j in range(m):
            ao[t] = larger(ao[t], by_track[t, j])
            if by_track[t, j] < same and (rival[t, j] or (b[j] > 0 and to[j] != t)):
                continue
            wo[t] = larger(wo[t], by_track[t, j])
    # Whose a box is, geometry tells best: identities slip just when objects crowd.
    for k in range(plain_row.shape[0]):
        if plain[plain_row[k], plain_column[k]] >= least:
            claimed[plain_row[k]] = plain_column[k]
    for i in range(d):
        t = track_of[i]
        for j in range(m):
            ab[j] = larger(ab[j], plain[i, j])
            foreign = claimed[i] >= 0 and claimed[i] != j and plain[i, j] < same
            if not (foreign or (not whole and t >= 0 and apart[t, j])):
                wb[j] = larger(wb[j], plain[i, j])
    return object_of, track_of_object, boxed, box_of, object_overlap, any_object, own_object, any_box, own_box


def outline(const double[:] surprisal):
    """Return the largest surprisal, nats, −infinite without one, and how many are unobservable (NaN)."""
    cdef double most = -INFINITY
    cdef Py_ssize_t i, dark = 0
    for i in range(surprisal.shape[0]):
        most = fmax(most, surprisal[i])
        dark += surprisal[i] != surprisal[i]
    return most, dark


def gather(
    double[::1] evidence, long long[::1] onset_ns, const Py_ssize_t[:] rows, const double[:] surprisal,
    long long stamp_ns, double log_kappa, double slope, double most, double share, double fade, double ceiling,
    double threshold,
):
    """Add a frame's scores to the evidence of a check's subjects (see `edgeguard.evidence.accumulate`).

    Args:
        evidence, onset_ns: (capacity,) of all subjects that the check knows; written.
        rows: (S,) where this frame's subjects stand in these.
        surprisal: (S,) nats; NaN is unobservable, infinite a fact.
        stamp_ns: the frame's stamp.
        log_kappa, slope: what a score of 0 gives, and each nat of it.
        most: what one step may add.
        share: of a step that this frame is.
        fade: what is left of the evidence about what cannot be observed.
        ceiling: bound above, so that an alarm ends soon after its cause does.
        threshold: evidence that alarms.

    Returns:
        (S,) evidence; (S,) onsets; (S,) 1 where it alarms; how many do.
    """
    cdef Py_ssize_t n = rows.shape[0], i, r, alarms = 0
    after, since, over = np.empty(n), np.empty(n, np.int64), np.empty(n, np.uint8)
    cdef double[::1] a = after
    cdef long long[::1] o = since
    cdef unsigned char[::1] raised = over
    cdef double before, x, s
    for i in range(n):
        r, s = rows[i], surprisal[i]
        before = evidence[r]
        if s != s:
            x = before * fade
        elif s == INFINITY:
            x = ceiling
        else:
            x = larger(before + smaller(log_kappa + slope * s, most) * share, 0.0)
        x = smaller(x, ceiling)
        if before <= 0.0 and x > 0.0:
            onset_ns[r] = stamp_ns
        evidence[r] = x
        a[i], o[i], raised[i] = x, onset_ns[r], x >= threshold
        alarms += x >= threshold
    return after, since, over, alarms
