# Filters, costs of association and what the trackers of `edgeguard.tracking` keep.

# Rows of a bank of constant-velocity Kalman filters, (N_FILTER, capacity, axes).
cdef enum:
    PLACE
    SPEED
    PLACE_VARIANCE
    COVARIANCE
    SPEED_VARIANCE
    N_FILTER

FILTER = N_FILTER


cdef inline void predict_axis(double[:, :, ::1] bank, Py_ssize_t s, Py_ssize_t a, double dt, double acceleration):
    cdef double q = acceleration * acceleration * dt
    bank[PLACE, s, a] += dt * bank[SPEED, s, a]
    bank[PLACE_VARIANCE, s, a] += 2 * dt * bank[COVARIANCE, s, a] + dt * dt * bank[SPEED_VARIANCE, s, a]
    bank[PLACE_VARIANCE, s, a] += q * (dt * dt) / 3
    bank[COVARIANCE, s, a] += dt * bank[SPEED_VARIANCE, s, a] + q * dt / 2
    bank[SPEED_VARIANCE, s, a] += q


cdef inline double correct_axis(double[:, :, ::1] bank, Py_ssize_t s, Py_ssize_t a, double residual, double sigma):
    """Return the variance that was expected of the residual."""
    cdef double variance = bank[PLACE_VARIANCE, s, a] + sigma * sigma
    cdef double gain_p = bank[PLACE_VARIANCE, s, a] / variance, gain_v = bank[COVARIANCE, s, a] / variance
    bank[PLACE, s, a] += gain_p * residual
    bank[SPEED, s, a] += gain_v * residual
    bank[SPEED_VARIANCE, s, a] -= gain_v * bank[COVARIANCE, s, a]
    bank[COVARIANCE, s, a] *= 1 - gain_p
    bank[PLACE_VARIANCE, s, a] *= 1 - gain_p
    return variance


def kalman_predict(double[:, :, ::1] bank, const Py_ssize_t[:] slots, double dt, const double[:, :] acceleration_sigma):
    cdef Py_ssize_t i, a
    for i in range(slots.shape[0]):
        for a in range(bank.shape[2]):
            predict_axis(bank, slots[i], a, dt, acceleration_sigma[i, a])


def kalman_update(
    double[:, :, ::1] bank, const Py_ssize_t[:] slots, const double[:, :] measured, const double[:, :] sigma
):
    residual = np.empty((slots.shape[0], bank.shape[2]))
    variance = np.empty((slots.shape[0], bank.shape[2]))
    cdef double[:, ::1] r = residual, v = variance
    cdef Py_ssize_t i, a
    for i in range(slots.shape[0]):
        for a in range(bank.shape[2]):
            r[i, a] = measured[i, a] - bank[PLACE, slots[i], a]
            v[i, a] = correct_axis(bank, slots[i], a, r[i, a], sigma[i, a])
    return residual, variance


# Rows of a (N_FOLLOWED, capacity) table of what a tracker knows of the things that it follows.
cdef enum:
    IDENTITY  # -1: the slot is free
    BORN_NS
    SEEN_NS
    HITS
    LABEL
    RUN_NS  # of a camera track: since when it is detected without a gap
    POINTS  # of a LiDAR object: returns on it
    MEASUREMENT  # and its row among the sweep's, -1 none
    N_FOLLOWED

FOLLOWED = N_FOLLOWED


def survivors(
    long long[:, ::1] followed, const Py_ssize_t[:] slots, long long stamp_ns, double dt, double max_coast_s
):
    """Return the slots of what is not lost, and free the others.

    A thing seen once is likelier noise than an object: it earns its lifetime by hits. However slow the sensor, its
    next frame may still confirm it.
    """
    alive = np.empty(slots.shape[0], np.intp)
    cdef Py_ssize_t[::1] a = alive
    cdef Py_ssize_t i, k = 0
    for i in range(slots.shape[0]):
        if _missed_s(followed, slots[i], stamp_ns) > smaller(max_coast_s, larger(0.15 * followed[HITS, slots[i]] + 0.1, dt)):
            followed[IDENTITY, slots[i]] = -1
        else:
            a[k] = slots[i]
            k += 1
    return alive[:k]


cdef inline double _missed_s(const long long[:, ::1] followed, Py_ssize_t s, long long stamp_ns):
    return <double>(stamp_ns - followed[SEEN_NS, s]) * 1e-9


cdef inline void saw(long long[:, ::1] followed, Py_ssize_t s, long long stamp_ns, long long label):
    followed[SEEN_NS, s] = stamp_ns
    followed[HITS, s] += 1
    followed[LABEL, s] = label


# Camera tracks: filters of centre x, y (px), ln width and ln height.
cdef inline double _extent(const double[:, :, ::1] bank, Py_ssize_t s, Py_ssize_t a):
    """Return the width (axis 2) or height (3) of a filter's box, pixels, kept to what is sane."""
    return exp(smaller(larger(bank[PLACE, s, a], 1.0), 9.0))


def camera_predict(
    double[:, :, ::1] bank, const long long[:, ::1] followed, const Py_ssize_t[:] slots, long long before_ns, double dt
):
    """Move the filters of camera tracks ahead by `dt` seconds; `before_ns` is the stamp of the frame before."""
    cdef Py_ssize_t i, s, a
    cdef double acceleration
    for i in range(slots.shape[0]):
        s = slots[i]
        # Growth that is no longer measured must not run away with a box.
        if followed[SEEN_NS, s] < before_ns:
            for a in range(2, 4):
                bank[SPEED, s, a] *= exp(-dt / 0.15)
        # Standard deviations of acceleration grow with the box.
        acceleration = 2.0 * larger(_extent(bank, s, 2), _extent(bank, s, 3))
        for a in range(4):
            predict_axis(bank, s, a, dt, acceleration if a < 2 else 1.5)


def predicted_boxes(const double[:, :, ::1] bank, const Py_ssize_t[:] slots):
    """Return (S, 4) boxes of camera filters. Sizes are bounded: a filter without measurements must not overflow."""
    out = np.empty((slots.shape[0], 4))
    cdef double[:, ::1] o = out
    cdef Py_ssize_t i, a
    cdef double half
    for i in range(slots.shape[0]):
        for a in range(2):
            half = exp(smaller(larger(bank[PLACE, slots[i], 2 + a], -5.0), 12.0)) / 2
            o[i, a], o[i, 2 + a] = bank[PLACE, slots[i], a] - half, bank[PLACE, slots[i], a] + half
    return out


def camera_correct(
    double[:, :, ::1] bank, long long[:, ::1] followed, const Py_ssize_t[:] slots, const Py_ssize_t[:] rows,
    const double[:, :] boxes,
):
    """Correct the filters of camera tracks with the detections that are theirs.

    Args:
        bank: (FILTER, capacity, 4).
        followed: (FOLLOWED, capacity).
        slots: (N,) of the tracks.
        rows: (K,) of these, which were detected.
        boxes: (K, 4) as what.

    Returns:
        (N, 4) residuals, NaN without a detection; (N, 4) standard deviations that were expected of them.
    """
    residual, sigma = nans((slots.shape[0], 4)), nans((slots.shape[0], 4))
    cdef double[:, ::1] r = residual, e = sigma
    cdef Py_ssize_t k, i, s, a
    cdef double extent, low, high
    cdef double[4] noise
    for k in range(rows.shape[0]):
        i = rows[k]
        s = slots[i]
        # Standard deviations of a measurement grow with the box.
        for a in range(2):
            extent = _extent(bank, s, 2 + a)
            noise[a], noise[2 + a] = 0.05 * extent + 1.0, 0.07 + 1.5 / extent
        for a in range(4):
            low, high = boxes[k, a % 2], boxes[k, a % 2 + 2]
            r[i, a] = ((low + high) / 2 if a < 2 else log(larger(high - low, 1.0))) - bank[PLACE, s, a]
            e[i, a] = sqrt(correct_axis(bank, s, a, r[i, a], noise[a]))
    return residual, sigma


def camera_see(
    long long[:, ::1] followed, double[:, ::1] looks, const Py_ssize_t[:] slots, long long stamp_ns,
    const double[:] score, const long long[:] label, const double[:, :] boxes,
):
    """Take (S,) detections of camera tracks in.

    Args:
        followed: (FOLLOWED, capacity).
        looks: (capacity, 6) score of the latest detection, and of late; its box.
        slots: (S,) of the tracks.
        stamp_ns: of the frame.
        score, label, boxes: (S,), (S,) and (S, 4) of the detections.
    """
    cdef Py_ssize_t i, s, a
    cdef double keep
    for i in range(slots.shape[0]):
        s = slots[i]
        # A gap of more than a few frames ends a run of uninterrupted detection.
        if stamp_ns - followed[SEEN_NS, s] > 250_000_000:
            followed[RUN_NS, s] = stamp_ns
        keep = exp(-_missed_s(followed, s, stamp_ns) / 0.33)
        looks[s, 0], looks[s, 1] = score[i], keep * looks[s, 1] + (1 - keep) * score[i]
        for a in range(4):
            looks[s, 2 + a] = boxes[i, a]
        saw(followed, s, stamp_ns, label[i])


def camera_tracks(
    const double[:, :, ::1] bank, const long long[:, ::1] followed, const double[:, ::1] looks,
    const Py_ssize_t[:] slots, const long long[:] detection, long long stamp_ns, long long first_new,
):
    """Return, of each slot's track, the attributes of `edgeguard.tracking.camera.Tracks` of these names.

    Returns:
        (N,) id, label, hits; (N,) score, confidence, age_s, missed_s, held_s; (N, 4) xyxy, velocity; (N,) matched,
        is_new.
    """
    cdef Py_ssize_t n = slots.shape[0], i, s, a
    whole, real, box, rate = np.empty((3, n), np.int64), np.empty((5, n)), np.empty((n, 4)), np.empty((n, 4))
    matched, fresh = np.empty(n, bool), np.empty(n, bool)
    cdef long long[:, ::1] w = whole
    cdef double[:, ::1] r = real, xyxy = box, velocity = rate
    cdef unsigned char[::1] found = matched.view(np.uint8), is_new = fresh.view(np.uint8)
    for i in range(n):
        s = slots[i]
        w[0, i], w[1, i], w[2, i] = followed[IDENTITY, s], followed[LABEL, s], followed[HITS, s]
        r[0, i], r[1, i] = looks[s, 0], looks[s, 1]
        r[2, i] = <double>(stamp_ns - followed[BORN_NS, s]) * 1e-9
        r[3, i] = _missed_s(followed, s, stamp_ns)
        r[4, i] = <double>(followed[SEEN_NS, s] - followed[RUN_NS, s]) * 1e-9
        for a in range(4):
            xyxy[i, a], velocity[i, a] = looks[s, 2 + a], bank[SPEED, s, a]
        found[i], is_new[i] = detection[i] >= 0, followed[IDENTITY, s] >= first_new
    return (*whole, *real, box, rate, matched, fresh)


def camera_cost(
    const double[:, :] predicted, const double[:, :, ::1] bank, const long long[:, ::1] followed,
    const Py_ssize_t[:] slots, const Py_ssize_t[:] rows, const double[:, :] boxes, const long long[:] label,
    const Py_ssize_t[:] columns, double dt, double min_iou, double apart,
):
    """Return (R, C) what it costs that a detection is a track: `apart` where it is another thing.

    Args:
        predicted: (N, 4) where the tracks should be.
        bank, followed, slots: as above.
        rows: (R,) tracks.
        boxes, label: (D, 4) and (D,) of the detections.
        columns: (C,) detections.
        dt: since the frame before, s.
        min_iou: overlap below which a pair is apart.
        apart: price of a pair that is.
    """
    cdef Py_ssize_t n = slots.shape[0], d = boxes.shape[0], i, j, s, a, b
    cost = np.full((rows.shape[0], columns.shape[0]), apart)
    cdef double[:, ::1] o = cost
    cdef double[::1] share = np.empty(n), height = np.empty(d)
    cdef double iou, change
    for i in range(n):
        # A young track's velocity is unknown, and a long gap lets any object move: widen the overlap test.
        share[i] = smaller(0.05 + 0.5 * dt + (0.15 if followed[HITS, slots[i]] < 3 else 0.0), 0.6)
    for j in range(d):
        height[j] = log(larger(boxes[j, 3] - boxes[j, 1], 1.0))
    cdef double[:, ::1] wide = _grown(predicted, share), loose = _grown(boxes, np.full(d, 0.05))
    for a in range(rows.shape[0]):
        i = rows[a]
        s = slots[i]
        for b in range(columns.shape[0]):
            j = columns[b]
            # Neighbours overlap in the image, but a body keeps its height from frame to frame.
            change, iou = fabs(bank[PLACE, s, 3] - height[j]), iou_of(wide, i, loose, j)
            if iou >= min_iou and change < 0.5 + 0.5 * dt:
                o[a, b] = 1.0 - iou + (0.15 if GROUP[followed[LABEL, s]] != GROUP[label[j]] else 0.0) + change
    return cost


def affordable(
    const double[:, :] cost, const Py_ssize_t[:] r, const Py_ssize_t[:] c, const Py_ssize_t[:] rows,
    const Py_ssize_t[:] columns, double apart,
):
    """Return rows and columns of the pairs, at (K,) `r` and `c` of an assignment, that are not apart.

    Args:
        cost: (R, C) of `rows` and `columns`.
        apart: price of a pair that is.
    """
    row, column = np.empty(r.shape[0], np.intp), np.empty(r.shape[0], np.intp)
    cdef Py_ssize_t[::1] i = row, j = column
    cdef Py_ssize_t k, n = 0
    for k in range(r.shape[0]):
        if cost[r[k], c[k]] < apart:
            i[n], j[n] = rows[r[k]], columns[c[k]]
            n += 1
    return row[:n], column[:n]


def unheld(
    const double[:, :] boxes, const double[:] score, const Py_ssize_t[:] found, double birth_score,
    const long long[:, ::1] followed, const double[:, ::1] looks, const Py_ssize_t[:] alive, long long stamp_ns,
):
    """Return the detections that may begin a track: sure enough, no track's own, and no second box on one's object.

    Args:
        boxes, score: (D, 4) and (D,) of the detections.
        found: those that are tracks'.
        birth_score: from which they may.
        followed, looks: as for `camera_see`.
        alive: (N,) slots of the tracks.
        stamp_ns: of the frame.
    """
    cdef Py_ssize_t d = boxes.shape[0], j, k, n = 0
    rows = np.empty(d, np.intp)
    cdef Py_ssize_t[::1] o = rows
    cdef unsigned char[::1] taken = np.zeros(d, np.uint8)
    cdef const double[:, :] held = looks[:, 2:]
    for k in range(found.shape[0]):
        taken[found[k]] = 1
    for j in range(d):
        if taken[j] or not score[j] >= birth_score:
            continue
        o[n] = j
        n += 1
        for k in range(alive.shape[0]):
            if followed[SEEN_NS, alive[k]] == stamp_ns and not iou_of(boxes, j, held, alive[k]) < 0.6:
                n -= 1
                break
    return rows[:n]


# LiDAR objects: filters of x and z, metres. Columns of a (capacity, N_BODY) table of their last measurement.
cdef enum:
    BODY_X
    BODY_Y
    BODY_Z
    BODY_SIZE  # along x; along y and z follow
    PROBABILITY = 6
    BOTTOM
    N_BODY

BODY = N_BODY


def lidar_predict(double[:, :, ::1] bank, const Py_ssize_t[:] slots, double dt):
    """Move the filters of LiDAR objects ahead by `dt` seconds."""
    cdef Py_ssize_t i, a
    for i in range(slots.shape[0]):
        for a in range(2):
            predict_axis(bank, slots[i], a, dt, 4.0)


def lidar_cost(
    const double[:, :, ::1] bank, const long long[:, ::1] followed, const double[:, ::1] body, const Py_ssize_t[:] slots,
    measured, const Py_ssize_t[:] index, double gate, double speed, double dt, double alone, double apart,
):
    """Return (N, M + N) what it costs that a measurement is an object; the last N columns: that none is.

    Args:
        bank, followed, body: of all slots.
        slots: (N,) of the objects.
        measured: `edgeguard.tracking.lidar.LidarBoxes`.
        index: (M,) rows of these.
        gate: distance beyond its motion from which a measurement is another object's, metres.
        speed: that a new object may have, m/s.
        dt: since the frame before, s.
        alone: price of staying without a measurement.
        apart: price of a pair that is apart.
    """
    cdef Py_ssize_t n = slots.shape[0], m = index.shape[0], i, j, k, s
    cdef const double[:, :] center = measured.center, size = measured.size
    cdef const long long[:] label = measured.label
    cost = np.full((n, m + n), alone)
    cdef double[:, ::1] o = cost
    cdef double distance, drift, width, reach
    cdef bint other
    for i in range(n):
        s = slots[i]
        width = hypot(body[s, BODY_SIZE], body[s, BODY_SIZE + 2])
        reach = gate + (speed * dt if followed[HITS, s] < 3 else 0.0)
        for j in range(m):
            k = index[j]
            distance = hypot(center[k, 0] - bank[PLACE, s, 0], center[k, 2] - bank[PLACE, s, 1])
            # Sizes of clusters jump as parts come into view: half their difference may be displacement.
            drift = 0.5 * fabs(hypot(size[k, 0], size[k, 2]) - width)
            if distance < reach + smaller(drift, 2.0):
                other = followed[LABEL, s] >= 0 and label[k] >= 0 and GROUP[followed[LABEL, s]] != GROUP[label[k]]
                # Among neighbours, the one of about its own size: a cluster's crumbs are not the cluster.
                o[i, j] = distance + (1.0 if other else 0.0) + 0.5 * drift
            else:
                o[i, j] = apart
    return cost


def lidar_see(
    double[:, :, ::1] bank, long long[:, ::1] followed, double[:, ::1] body, double[:, :, ::1] corner,
    const Py_ssize_t[:] slots, measured, const Py_ssize_t[:] index, long long stamp_ns, bint begun,
):
    """Take measurements of LiDAR objects in.

    Args:
        bank, followed, body: of all slots.
        corner: (capacity, 8, 3) from its centre, metres.
        slots: (S,) of the objects.
        measured: `edgeguard.tracking.lidar.LidarBoxes`.
        index: (S,) rows of these.
        stamp_ns: of the frame.
        begun: whether the filters have only just begun, at these very places.
    """
    cdef const double[:, :] center = measured.center, size = measured.size
    cdef const double[:, :, :] corners = measured.corners
    cdef const double[:] probability = measured.probability, bottom = measured.bottom
    cdef const long long[:] label = measured.label, points = measured.points
    cdef Py_ssize_t i, k, s, a, c
    for i in range(slots.shape[0]):
        s, k = slots[i], index[i]
        for a in range(2):
            if not begun:
                # A LiDAR places things to centimetres, but the centre of what it sees moves with the view.
                correct_axis(bank, s, a, center[k, 2 * a] - bank[PLACE, s, a], 0.25)
        for a in range(3):
            body[s, BODY_X + a], body[s, BODY_SIZE + a] = center[k, a], size[k, a]
            for c in range(8):
                corner[s, c, a] = corners[k, c, a] - center[k, a]
        body[s, PROBABILITY], body[s, BOTTOM] = probability[k], bottom[k]
        saw(followed, s, stamp_ns, label[k])
        followed[POINTS, s], followed[MEASUREMENT, s] = points[k], k


def lidar_objects(
    const double[:, :, ::1] bank, const long long[:, ::1] followed, const double[:, ::1] body,
    const double[:, :, ::1] corner, const Py_ssize_t[:] slots, const double[:, :] camera, long long stamp_ns,
    long long first_new,
):
    """Return, of each slot's object, the attributes of `edgeguard.tracking.lidar.LidarObjects` of these names.

    Args:
        bank, followed, body, corner, slots: as above.
        camera: (3, 3) camera matrix.
        stamp_ns: of the frame.
        first_new: the first identity that began on it.

    Returns:
        (N,) id, label, points, measurement, hits; (N,) probability, bottom, age_s, missed_s; (N, 3) center, size;
        (N, 4) xyxy; (N, 2) velocity; (N,) matched, is_new.
    """
    cdef Py_ssize_t n = slots.shape[0], i, s, a
    whole, real = np.empty((5, n), np.int64), np.empty((4, n))
    middle, extent, rate = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 2))
    box, matched, fresh = np.empty((n, 4)), np.empty(n, bool), np.empty(n, bool)
    cdef long long[:, ::1] w = whole
    cdef double[:, ::1] r = real, center = middle, size = extent, velocity = rate, xyxy = box
    cdef unsigned char[::1] found = matched.view(np.uint8), is_new = fresh.view(np.uint8)
    cdef bint now
    for i in range(n):
        s = slots[i]
        w[0, i], w[1, i], w[2, i] = followed[IDENTITY, s], followed[LABEL, s], followed[POINTS, s]
        w[3, i], w[4, i] = followed[MEASUREMENT, s], followed[HITS, s]
        r[0, i], r[1, i] = body[s, PROBABILITY], body[s, BOTTOM]
        r[2, i] = <double>(stamp_ns - followed[BORN_NS, s]) * 1e-9
        r[3, i] = _missed_s(followed, s, stamp_ns)
        found[i], is_new[i] = followed[MEASUREMENT, s] >= 0, followed[IDENTITY, s] >= first_new
        # Where it was measured now, it is: a filter's lag would look like disagreement.
        now = found[i] and followed[SEEN_NS, s] == stamp_ns
        for a in range(3):
            size[i, a] = body[s, BODY_SIZE + a]
            center[i, a] = body[s, BODY_X + a] if now or a == 1 else bank[PLACE, s, a // 2]
        for a in range(2):
            velocity[i, a] = bank[SPEED, s, a]
        hull(corner, s, center, i, camera, xyxy)
    return (*whole, *real, middle, extent, box, rate, matched, fresh)


def usable(const double[:, :] boxes, const double[:] score, const long long[:] label, double low):
    """Return rows of the detections that are boxes, of a class that is watched, and of such a score."""
    rows = np.empty(score.shape[0], np.int64)
    cdef long long[::1] r = rows
    cdef Py_ssize_t i, k = 0
    for i in range(score.shape[0]):
        if label[i] >= 0 and score[i] >= low and _is_finite(boxes, i):
            if boxes[i, 2] > boxes[i, 0] and boxes[i, 3] > boxes[i, 1]:
                r[k] = i
                k += 1
    return rows[:k]


def believable(detections, double low):
    """Return (D, 4) boxes of detections; those of a lower score, or that are none, are empty and overlap nothing."""
    xyxy = detections.xyxy.astype(np.float64)
    cdef double[:, ::1] b = xyxy
    cdef const double[:] score = detections.score.astype(np.float64)
    cdef Py_ssize_t i, a
    for i in range(b.shape[0]):
        if not (score[i] >= low and _is_finite(b, i)):
            for a in range(4):
                b[i, a] = 0.0
    return xyxy


cdef inline bint _is_finite(const double[:, :] boxes, Py_ssize_t i):
    return isfinite(boxes[i, 0]) and isfinite(boxes[i, 1]) and isfinite(boxes[i, 2]) and isfinite(boxes[i, 3])
