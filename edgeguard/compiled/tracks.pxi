# Camera tracks: how each lies in the image, and what single checks measure of it. Objects are handed over whole
# and read here, because an array library's call for each line of these formulas costs a hundred times its arithmetic.

cdef const unsigned char[:] flags(array):
    """Return (N,) booleans as bytes."""
    return array


cdef inline double clamped(double x, double low, double high):
    """Return `x` kept to [low, high]; NaN stays."""
    return smaller(larger(x, low), high)


cdef double covered_share(double x0, double y0, double x1, double y1, const double[:, ::1] by):
    """Return the largest share of a box that a box of `by` covers which stands lower in the image: that is nearer.

    What overlaps it by 0.6 or more is its twin.
    """
    cdef double own = larger(x1 - x0, 0.0) * larger(y1 - y0, 0.0), most = 0.0, both
    cdef Py_ssize_t j
    for j in range(by.shape[0]):
        if not by[j, 3] > y1 + 2.0:
            continue
        both = larger(smaller(x1, by[j, 2]) - larger(x0, by[j, 0]), 0.0)
        both = both * larger(smaller(y1, by[j, 3]) - larger(y0, by[j, 1]), 0.0)
        if both / union_of(own, area_of(by, j), both) < 0.6:
            most = larger(most, both / larger(own, 1e-9))
    return most


cdef inline double row_covered(const double[:, :] boxes, Py_ssize_t i, const double[:, ::1] by):
    return covered_share(boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3], by)


def covered(const double[:, :] boxes, const double[:, ::1] by):
    """Return (N,) the largest share of each of `boxes` that one of `by` covers which stands lower in the image."""
    out = np.empty(boxes.shape[0])
    cdef double[::1] o = out
    cdef Py_ssize_t i
    for i in range(boxes.shape[0]):
        o[i] = row_covered(boxes, i, by)
    return out


cdef inline double held_after(double before_s, bint now, double dt):
    """Return for how long something is held, s: it grows while it is, and fades half as fast."""
    return clamped(before_s + (dt if now else -0.5 * dt), 0.0, 2.0)


def hold(double[::1] held_s, const Py_ssize_t[:] slots, is_new, now, double dt):
    """Return for how long each of these slots was held before this frame, s, and take the frame in.

    Args:
        held_s: (capacity,) of all slots; written.
        slots, is_new: (S,) of whom.
        now: (S,) whether it is held; None where the frame does not tell.
        dt: since the frame before, s.
    """
    cdef const unsigned char[:] begun = flags(is_new), holds = begun if now is None else flags(now)
    before = np.empty(slots.shape[0])
    cdef double[::1] o = before
    cdef Py_ssize_t i, s
    for i in range(slots.shape[0]):
        s = slots[i]
        o[i] = 0.0 if begun[i] else held_s[s]
        held_s[s] = o[i] if now is None else held_after(o[i], holds[i], dt)
    return before


def views(t, image_size, double focal, double[::1] apart_s, double dt, double asserted_from):
    """Return how each track lies in the image, as the attributes of `edgeguard.scene.Scene` of these names.

    Args:
        t: `edgeguard.tracking.camera.Tracks`, N of them.
        image_size: width and height, pixels; None unknown.
        focal: focal length, pixels; NaN unknown.
        apart_s: (capacity,) how long each slot's track was lately nobody's duplicate, s; written.
        dt: since the frame before, s.
        asserted_from: confidence from which the camera claims a track.

    Returns:
        (N,) truncated; edge_px; size_range; duplicate; asserted; hidden; foot_hidden; (K, 4) occluders; (K,) their
        rows.
    """
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] confidence = t.confidence, missed_s = t.missed_s
    cdef const long long[:] label = t.label, hits = t.hits
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const unsigned char[:] matched = flags(t.matched), is_new = flags(t.is_new)
    cdef Py_ssize_t n = box.shape[0], i, j, s, k = 0
    cut, twin, claimed = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    lengths, cover, stands = np.empty((4, n)), np.empty((n, 4)), np.empty(n, np.intp)
    cdef Py_ssize_t[::1] row = stands
    cdef unsigned char[::1] truncated = cut.view(np.uint8), duplicate = twin.view(np.uint8)
    cdef unsigned char[::1] asserted = claimed.view(np.uint8)
    cdef double[:, ::1] length = lengths, by = cover
    cdef double w = NAN, h = NAN, own, both, height
    cdef bint twins
    if image_size is not None:
        w, h = image_size
    for i in range(n):
        s, height = slot[i], larger(box[i, 3] - box[i, 1], 1.0)
        if w == w:
            truncated[i] = box[i, 0] < 4 or box[i, 1] < 4 or box[i, 2] > w - 5 or box[i, 3] > h - 5
        length[0, i] = smaller(box[i, 0], w - box[i, 2])
        length[1, i] = NAN if truncated[i] else focal * HEIGHT[label[i]] / height
        own, twins = larger(area_of(box, i), 1e-9), False
        for j in range(n):
            if confidence[j] > confidence[i]:
                both = common(box, i, box, j)
                twins = twins or both / union_of(area_of(box, i), area_of(box, j), both) > 0.5 or both / own > 0.8
        if is_new[i]:
            apart_s[s] = 0.0
        # Two that were seen apart are two, however one covers the other now.
        duplicate[i] = twins and apart_s[s] < 0.5
        apart_s[s] = held_after(apart_s[s], matched[i] and not twins, dt)
        asserted[i] = confidence[i] >= asserted_from and hits[i] >= 2 and not duplicate[i]
        # What stands for a body: surely and lately seen, each once.
        if not duplicate[i] and confidence[i] >= 0.3 and missed_s[i] <= 0.25:
            for j in range(4):
                by[k, j] = box[i, j]
            row[k] = i
            k += 1
    for i in range(n):
        height = larger(box[i, 3] - box[i, 1], 1.0)
        length[2, i] = row_covered(box, i, by[:k])
        length[3, i] = covered_share(
            box[i, 0], box[i, 3] - 0.05 * height, box[i, 2], box[i, 3] + 0.15 * height, by[:k]
        )
    return cut, lengths[0], lengths[1], twin, claimed, lengths[2], lengths[3], cover[:k], stands[:k]


def cores(const double[:, :] boxes):
    """Return (N, 4) the middles of boxes: their rims show what stands beside, above and below."""
    out = np.empty((boxes.shape[0], 4))
    cdef double[:, ::1] o = out
    cdef double w, h
    cdef Py_ssize_t i
    for i in range(boxes.shape[0]):
        w, h = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        o[i, 0], o[i, 1] = boxes[i, 0] + 0.2 * w, boxes[i, 1] + 0.1 * h
        o[i, 2], o[i, 3] = boxes[i, 2] - 0.2 * w, boxes[i, 3] - 0.05 * h
    return out


def foot_ranges(const double[:, :] boxes, const double[:, :] k, const double[:] plane):
    """Return (N,) range at which boxes' lower edges meet a ground y = a·x + b·z + c; infinite where they never do.

    Args:
        k: (3, 3) camera matrix.
        plane: (3,) a, b, c.
    """
    out = np.empty(boxes.shape[0])
    cdef double[::1] o = out
    cdef double drop
    cdef Py_ssize_t i
    for i in range(boxes.shape[0]):
        drop = (boxes[i, 3] - k[1, 2]) / k[1, 1] - plane[1]
        drop -= plane[0] * ((boxes[i, 0] + boxes[i, 2]) / 2 - k[0, 2]) / k[0, 0]
        o[i] = plane[2] / drop if drop > 1e-3 else INFINITY
    return out


def known_ranges(const double[:] foreground, const double[:] size_range):
    """Return (N,) ranges of tracks: of the nearest body where one stands about there, else what their size says."""
    out = np.empty(foreground.shape[0])
    cdef double[::1] o = out
    cdef Py_ssize_t i
    cdef bint agrees
    for i in range(foreground.shape[0]):
        agrees = not isfinite(size_range[i]) or fabs(log(foreground[i]) - log(size_range[i])) < 0.7
        o[i] = foreground[i] if isfinite(foreground[i]) and agrees else size_range[i]
    return out


def confirmed(support, overlap):
    """Return (N,) whether LiDAR confirms tracks: by an object of their own, or enough returns at their range.

    Args:
        support: `edgeguard.scene.Support`; None without points.
        overlap: (N,) how well each one's own object covers it.
    """
    cdef const double[:] own = overlap
    cdef Py_ssize_t n = own.shape[0], i
    out = np.empty(n, bool)
    cdef unsigned char[::1] o = out.view(np.uint8)
    for i in range(n):
        o[i] = own[i] >= SURE
    if support is None:
        return out
    cdef const double[:] on = support.on, expected = support.expected
    for i in range(n):
        o[i] |= on[i] >= larger(3.0, 0.12 * expected[i])
    return out


def doubtful_lidar(const double[:] held_s, support):
    """Return (N,) whether to suspect the LiDAR where it does not confirm a track (see `Scene.suspects_lidar`).

    Args:
        held_s: (N,) how long it had, s.
        support: as for `confirmed`.
    """
    cdef Py_ssize_t n = held_s.shape[0], i
    out = np.empty(n, bool)
    cdef unsigned char[::1] o = out.view(np.uint8)
    for i in range(n):
        o[i] = held_s[i] > 0.3
    if support is None:
        return out
    cdef const double[:] total = support.total, expected = support.expected
    for i in range(n):
        o[i] |= total[i] < 0.15 * expected[i]
    return out


def depth_surprisal(scene, support, const double[:] spread, settings):
    """Judge whether boxes are as tall as their class is at the range of their body (see `depth_agreement`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        support: its `edgeguard.scene.Support`.
        spread: (classes,) of the logarithm of heights.
        settings: `edgeguard.checks.depth_agreement.DepthAgreementSettings`.

    Returns:
        (2, N) surprisal, nats; standard deviations.
    """
    t = scene.tracks
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden, foot_hidden = scene.foot_hidden, total = support.total
    cdef const double[:] expected = support.expected, found = support.foreground, by_size = support.size_range
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef double min_height = settings.min_height_px, min_points = settings.min_points, min_share = settings.min_share
    cdef double max_range = settings.max_range_m, box_noise = settings.box_noise, z
    cdef Py_ssize_t n = label.shape[0], i
    table = nans((2, n))
    cdef double[:, ::1] out = table
    for i in range(n):
        z = (log(by_size[i]) - log(found[i])) / hypot(spread[label[i]], box_noise)
        out[1, i] = z
        if (
            matched[i] and asserted[i] and SOLID[label[i]] and not cut[i] and hidden[i] < 0.2 and foot_hidden[i] < 0.3
            and box[i, 3] - box[i, 1] >= min_height and total[i] >= min_points and total[i] >= min_share * expected[i]
            and found[i] <= max_range
        ):
            out[0, i] = 0.5 * (z * z)
    return table


# A body's returns tell where it was held for so long, s; once it is lost, for so long after.
cdef double CONFIRMED_S = 0.4, GONE_S = 0.6
cdef double FIRMLY = 0.6, AT_ONCE_S = 0.25
# Farther off or with fewer returns nothing can be told; so near the image's side, things leave.
cdef double FARTHEST_M = 30.0, FEWEST_RETURNS = 8.0, SIDE_PX = 30.0
# What hides a body returns rays itself; only boxes that no sweep knows could hide it unseen.
cdef double HARDLY_HIDDEN = 0.5
AS_TALL = 0.35
"""Boxes are as tall as one another to this, in ln."""
cdef double _as_tall = AS_TALL


def follow_returns(scene, support, double[:, ::1] memory, gone):
    """Follow what the sweep gives in tracks' boxes, and which tracks were lost (see `edgeguard.vanishing`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        support: its `edgeguard.scene.Support`.
        memory: (7, capacity) of all slots: returns, range, metres, box, for how long absent, s; written.
        gone: (capacity,) bool: who went with all returns; written.

    Returns:
        (N,) 1 while a track is boxed that was held, else NaN; (K,) rows of those lost.
    """
    t = scene.tracks
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] held = scene.lidar_held_s, held_s = t.held_s, score = t.score, confidence = t.confidence
    cdef const double[:] hidden = scene.hidden, edge_px = scene.edge_px
    cdef const double[:] on = support.on, found = support.foreground
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef const unsigned char[:] supported = flags(scene.supported)
    cdef unsigned char[:] went = gone.view(np.uint8)
    cdef double dt = scene.dt_s, before
    cdef Py_ssize_t n = slot.shape[0], i, s, a, k = 0
    left, rows = nans(n), np.empty(n, np.intp)
    cdef double[::1] o = left
    cdef Py_ssize_t[::1] lost = rows
    cdef bint present, alike
    for i in range(n):
        s = slot[i]
        before = larger(memory[5, s] - memory[3, s], 1.0)
        alike = fabs(log(larger(box[i, 3] - box[i, 1], 1.0) / before)) <= _as_tall
        present = matched[i] and (alike or not went[s])
        memory[6, s] = 0.0 if present else memory[6, s] + dt
        if present or memory[6, s] > GONE_S:
            went[s] = 0
        if present:
            if held[i] >= CONFIRMED_S:
                o[i] = 1.0
            if supported[i] and not cut[i] and isfinite(found[i]):
                # One that is of another height all at once is of another body, which it is yet to hold.
                memory[0, s], memory[1, s] = on[i] if alike or memory[0, s] == 0.0 else 0.0, found[i]
                for a in range(4):
                    memory[2 + a, s] = box[i, a]
        elif (
            memory[6, s] <= GONE_S and held[i] >= CONFIRMED_S
            # One whose identity another box took had been held as long when it went.
            and (went[s] or (memory[6, s] <= AT_ONCE_S and held_s[i] >= CONFIRMED_S))
            # A person's place a moment later is not known to its own width.
            and RIGID[label[i]] and memory[0, s] >= FEWEST_RETURNS and memory[1, s] <= FARTHEST_M
            and (
                matched[i]
                or (
                    asserted[i] and not cut[i] and hidden[i] < HARDLY_HIDDEN and edge_px[i] >= SIDE_PX
                    and smaller(score[i], confidence[i]) >= FIRMLY
                )
            )
        ):
            lost[k] = i
            k += 1
    return left, rows[:k]
