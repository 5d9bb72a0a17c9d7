# How boxes move, come and go: `box_motion`, `birth_death` and `expansion`.

cdef double median_of(double[::1] x, Py_ssize_t n):
    """Return the median of the first `n` >= 1 numbers, and sort them; none may be NaN."""
    cdef Py_ssize_t i, j
    cdef double value
    for i in range(1, n):
        value, j = x[i], i
        while j > 0 and x[j - 1] > value:
            x[j] = x[j - 1]
            j -= 1
        x[j] = value
    return (x[(n - 1) // 2] + x[n // 2]) / 2


cdef double heavy_tail(double sigmas, double freedom):
    """Return −ln of the tail of Student's t, but for a constant factor, nats."""
    return 0.5 * (freedom + 1.0) * log1p(sigmas * sigmas / freedom)


def leaps(scene, const double[:, ::1] spread, double tail):
    """Judge how far boxes are off their paths (see `edgeguard.checks.box_motion`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        spread: (classes, 4) of residuals, in the tracker's own standard deviations.
        tail: degrees of freedom of the heavy-tailed null.

    Returns:
        (3, N) surprisal, nats; standard deviations of place, and of size.
    """
    t, rig = scene.tracks, scene.rig
    cdef const double[:, :] residual = t.residual, sigma = t.residual_sigma
    cdef const double[:] hidden = scene.hidden, size_range = scene.size_range
    cdef const long long[:] label = t.label, hits = t.hits
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef double focal = NAN if rig is None else rig.camera.focal, dt = larger(scene.dt_s, 0.02), off
    cdef Py_ssize_t n = label.shape[0], i, a, known = 0
    table = nans((3, n))
    cdef double[:, ::1] out = table
    cdef double[::1] shift = np.empty(n)
    cdef unsigned char[::1] told = np.zeros(n, np.uint8)
    cdef double[2] common
    cdef double[4] z
    for i in range(n):
        # The first frames of a track tell nothing.
        told[i] = matched[i] and hits[i] >= 4 and asserted[i] and not cut[i] and hidden[i] < 0.3
        known += told[i]
    for a in range(2):
        known = 0
        for i in range(n):
            if told[i]:
                shift[known] = residual[i, a]
                known += 1
        # Pitching over a bump moves all boxes at once.
        common[a] = median_of(shift, known) if known >= 4 else 0.0
    for i in range(n):
        if not told[i]:
            continue
        for a in range(4):
            z[a] = sigma[i, a] * spread[label[i], a]
        if focal == focal:
            # What the class can do on the ground within one interval is no surprise.
            off = focal * (0.5 * MAX_ACCELERATION[label[i]] * (dt * dt)) / larger(size_range[i], 1.0)
            z[0] = hypot(z[0], off)
        for a in range(4):
            z[a] = fabs(residual[i, a] - (common[a] if a < 2 else 0.0)) / z[a]
        out[1, i], out[2, i] = larger(z[0], z[1]), larger(z[2], z[3])
        # All four components: −ln(4·p), never below 0.
        out[0, i] = larger(0.0, heavy_tail(larger(out[1, i], out[2, i]), tail) - log(4.0))
    return table


def births_and_deaths(scene, bint settled, double[:, ::1] memory, settings):
    """Return (N,) surprisal of tracks that appeared or vanished, nats (see `edgeguard.checks.birth_death`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        settled: whether the drive, or sight after a gap, began a while ago: at its start everything is born.
        memory: (2, capacity) surprisal of each track's birth; growth of its width over its height while seen,
            1/s; written.
        settings: `edgeguard.checks.birth_death.BirthDeathSettings`.
    """
    t = scene.tracks
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy, velocity = t.velocity
    cdef const double[:] hidden = scene.hidden, edge_px = scene.edge_px, score = t.score, confidence = t.confidence
    cdef const double[:] age_s = t.age_s, missed_s = t.missed_s, held_s = t.held_s
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef const unsigned char[:] is_new = flags(t.is_new)
    cdef double far = settings.far_height_px, border = settings.edge_px, window_s = settings.window_s
    cdef double from_s = settings.held_s, size
    cdef Py_ssize_t n = slot.shape[0], i, s
    cdef bint in_open, rigid, firm
    surprise = nans(n)
    cdef double[::1] out = surprise
    for i in range(n):
        s, rigid = slot[i], RIGID[label[i]]
        in_open = edge_px[i] > border and hidden[i] < 0.2 and not cut[i]
        # Ahead by a factor of e in size for every 2 nats: tracks are born small.
        size = larger(2.0 * log(larger(box[i, 3] - box[i, 1], 1.0) / far), 0.0)
        if is_new[i]:
            memory[0, s] = size if in_open and settled else NAN
        if matched[i]:
            memory[1, s] = velocity[i, 2] - velocity[i, 3]
            if held_s[i] >= from_s:
                out[i] = 0.0
        if age_s[i] <= window_s and asserted[i]:
            out[i] = memory[0, s]
        if (
            not matched[i] and held_s[i] >= from_s and missed_s[i] <= (1.0 if rigid else window_s) and asserted[i]
            and in_open
        ):
            # A vehicle held steadily is too large to be hidden at once; it narrows while it passes a corner.
            firm = rigid and held_s[i] >= 1.0 and smaller(score[i], confidence[i]) >= 0.6 and memory[1, s] > -0.4
            out[i] = smaller(1.0 + 1.5 * size, 6.0) if firm else smaller(1.0 + size, 3.0)
    return surprise


def growth_against_closing(scene, double[:, ::1] lines, double[:, ::1] memory, settings):
    """Judge whether boxes grow as their objects come nearer (see `edgeguard.checks.expansion`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        lines: (capacity, 7) trends of ln height and of ln range; written.
        memory: (2, capacity) for how long each track is in both, s, and its last range, metres; written.
        settings: `edgeguard.checks.expansion.ExpansionSettings`.

    Returns:
        (5, N) surprisal, nats; growth and closing, 1/s; range, metres; their difference, standard deviations.
    """
    t, own = scene.tracks, scene.camera_motion
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden, foot_hidden = scene.foot_hidden, size_range = scene.size_range
    cdef const double[:] face = _faces(scene)
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef const unsigned char[:] is_new = flags(t.is_new)
    cdef double dt = scene.dt_s, range_noise = settings.range_noise_m, box_noise = settings.box_noise
    cdef double min_age = settings.min_age_s, min_height = settings.min_height_px, max_range = settings.max_range_m
    cdef double tail = settings.tail, speed = NAN if own is None else own[0][2]
    cdef bint straight = own is None or np.linalg.norm(own[1]) <= settings.max_turn_rad_s
    cdef Py_ssize_t n = slot.shape[0], i, s
    table = nans((5, n))
    cdef double[:, ::1] out = table
    cdef double near, last, height, growth, closing, sigma
    cdef bint measured, clear, good
    pass_time(lines, dt, settings.memory_s)
    for i in range(n):
        s, near, height = slot[i], face[i], larger(box[i, 3] - box[i, 1], 1.0)
        measured = isfinite(near)
        if speed == speed and not measured and MAX_SPEED[label[i]] == 0.0:
            near = size_range[i]
        last = NAN if is_new[i] else memory[1, s]
        clear = not cut[i] and hidden[i] < 0.2 and foot_hidden[i] < 0.3
        good = matched[i] and clear and isfinite(near)
        # A range that jumps by more than this share within a frame is another body's.
        if is_new[i] or not clear or fabs(log(near / last)) > 0.12 + 4.0 * range_noise / near:
            clear_line(lines, s)
            memory[0, s] = 0.0
        elif good:
            memory[0, s] += dt
        memory[1, s] = near if good else last
        if good:
            lines[s, WEIGHT] += 1.0
            lines[s, Y] += log(height)
            lines[s, Y + 2] += log(near)
        growth, closing = slope_of(lines, s, 0), -slope_of(lines, s, 1)
        sigma = hypot(box_noise + 0.75 / height, range_noise / near) * slope_noise(lines, s)
        if speed == speed and not measured:
            closing = speed / near
        out[1, i], out[2, i], out[3, i], out[4, i] = growth, closing, near, (growth - closing) / sigma
        if (
            good and asserted[i] and memory[0, s] >= min_age and near <= max_range and height >= min_height
            and (measured or straight)
        ):
            out[0, i] = larger(0.0, heavy_tail(out[4, i], tail) - log(2.0))
    return table


cdef const double[:] _faces(scene):
    """Return (N,) range of each track's nearest face as LiDAR measured it, metres; NaN where it did not."""
    t, pairing, seen, support = scene.tracks, scene.pairing, scene.objects, scene.support
    near = nans(len(t.id))
    cdef double[::1] o = near
    cdef const long long[:] object_of
    cdef const double[:, :] center, size
    cdef const double[:] foreground
    cdef const unsigned char[:] ok
    cdef double face
    cdef Py_ssize_t i
    if scene.objects_are_classified and pairing is not None and seen is not None and len(seen.id):
        object_of, center, size, ok = pairing.object_of, seen.center, seen.size, flags(seen.matched)
        for i in range(o.shape[0]):
            if object_of[i] >= 0 and ok[object_of[i]]:
                face = center[object_of[i], 2] - 0.5 * size[object_of[i], 2]
                o[i] = face if face > 1.0 else NAN
    elif support is not None:
        foreground, ok = support.foreground, flags(scene.supported)
        for i in range(o.shape[0]):
            o[i] = foreground[i] if ok[i] else NAN
    return near
