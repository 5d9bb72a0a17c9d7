# What tracks are called, and how surely: `class_stability`, `kinematic_class` and `confidence`.

# Rows of a table of what each track has been called; before them, a row of counts a class group.
cdef enum:
    RUN  # of the present class: how much was seen of it, in detections
    RUN_GROUP  # which it is, -1 none
    CLASS_S  # and for how long
    FLIPS  # of late
    SHAPE  # ln(width/height) of the box, while it was of its old class; NaN unknown
    SIZE  # ln of the last box's size; NaN unknown
    N_CALLED

CALLED = N_CALLED


def class_surprisal(scene, double[:, ::1] counts, double[:, ::1] called, const double[:, ::1] kindred, settings):
    """Judge whether tracks keep their class (see `edgeguard.checks.class_stability`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        counts: (capacity, groups) detections of each class group, fading; written.
        called: (CALLED, capacity), as above; written.
        kindred: (groups, groups) how much a detection of one group counts for another.
        settings: `edgeguard.checks.class_stability.ClassStabilitySettings`.

    Returns:
        (4, N) surprisal, nats; share of the present group; entropy, nats; flips, 1/s.
    """
    t = scene.tracks
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden, edge_px = scene.edge_px, score = t.score, age_s = t.age_s
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), is_new = flags(t.is_new)
    cdef double dt = scene.dt_s, memory_s = settings.memory_s, window_s = settings.window_s, prior = settings.prior
    cdef double min_detections = settings.min_detections, keep = exp(-dt / memory_s), follow = 1.0 - exp(-dt / 0.3)
    cdef double min_height = settings.min_height_px
    cdef Py_ssize_t n = slot.shape[0], groups = counts.shape[1], i, s, g, h, group
    table = nans((4, n))
    cdef double[:, ::1] out = table
    cdef double shape, size, usual, total, share, mass, entropy
    cdef bint own, flipped
    for i in range(n):
        s, group = slot[i], GROUP[label[i]]
        shape = log(larger(box[i, 2] - box[i, 0], 1.0) / larger(box[i, 3] - box[i, 1], 1.0))
        # Whoever walks past a car may take over its track, and its box is not of the shape or size that was known
        # of the old class; a flip leaves the box as it is. Gait changes a person's width by a half, and a car that
        # turns does within a second: another body by more. What leaves the picture is cut to another shape.
        size = 0.5 * log(larger((box[i, 2] - box[i, 0]) * (box[i, 3] - box[i, 1]), 1.0))
        if is_new[i] or (
            matched[i] and counts[s, group] < 0.5 * _sum(counts, s) and edge_px[i] >= INSIDE_PX
            and (fabs(shape - called[SHAPE, s]) > 0.5 or fabs(size - called[SIZE, s]) > _as_tall)
        ):
            for g in range(groups):
                counts[s, g] = 0.0
            called[RUN, s] = called[CLASS_S, s] = called[FLIPS, s] = 0.0
            called[RUN_GROUP, s], called[SHAPE, s], called[SIZE, s] = -1.0, NAN, NAN
        for g in range(groups):
            counts[s, g] *= keep
        called[FLIPS, s] *= keep
        flipped = matched[i] and called[RUN_GROUP, s] != group
        # While the class is the one that history knows, its run is history too.
        own = counts[s, group] >= 0.5 * _sum(counts, s)
        if matched[i] and called[RUN_GROUP, s] >= 0:
            # A run is judged by what preceded it: it becomes history when it ends, or outlasts the memory.
            if flipped or own or called[CLASS_S, s] > memory_s / 2:
                counts[s, <Py_ssize_t>called[RUN_GROUP, s]] += called[RUN, s]
                called[RUN, s] = 0.0
            called[FLIPS, s] += flipped
        called[CLASS_S, s] = 0.0 if flipped else called[CLASS_S, s] + dt
        if matched[i]:
            called[RUN_GROUP, s] = group
            called[RUN, s] += score[i]
            called[SIZE, s] = size
            usual = called[SHAPE, s]
            if isnan(usual):
                called[SHAPE, s] = shape
            elif own:
                called[SHAPE, s] = usual + follow * (shape - usual)
        total = entropy = mass = 0.0
        for g in range(groups):
            total += _kin(counts, s, kindred, g) + prior
        for g in range(groups):
            share = (_kin(counts, s, kindred, g) + prior) / total
            entropy -= share * log(share)
            if g == group:
                mass = share
        out[1, i], out[2, i], out[3, i] = mass, entropy, called[FLIPS, s] / memory_s
        if box[i, 3] - box[i, 1] < min_height:
            continue
        if asserted[i] and matched[i] and age_s[i] >= window_s and hidden[i] < 0.8:
            # A detection that is hardly believed is hardly evidence.
            out[0, i] = -log(mass) * clamped(score[i] / 0.5, 0.0, 1.0) if _sum(counts, s) >= min_detections else 0.0
    return table


cdef double _sum(const double[:, ::1] table, Py_ssize_t row):
    cdef Py_ssize_t column
    cdef double total = 0.0
    for column in range(table.shape[1]):
        total += table[row, column]
    return total


cdef double _kin(const double[:, ::1] counts, Py_ssize_t s, const double[:, ::1] kindred, Py_ssize_t group):
    """Return how many detections count for a group."""
    cdef Py_ssize_t g
    cdef double total = 0.0
    for g in range(counts.shape[1]):
        total += counts[s, g] * kindred[g, group]
    return total


def unlike_class(
    scene, double[:, ::1] shapes, double[:, ::1] velocities, double[:, ::1] known_s, long long[:, ::1] who,
    bint grounded, bint regrounded, const double[:, ::1] mean, const double[:, ::1] sigma, settings,
):
    """Judge whether tracks look and move like what they are called (see `edgeguard.checks.kinematic_class`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        shapes: (capacity, 11) trends of ln(width/height), of the box's centre, pixels, and of ln height; written.
        velocities: (capacity, 7) trends of the LiDAR object's velocity, x and z, m/s; written.
        known_s: (2, capacity) for how long each track is in these, s; written.
        who: (2, capacity) its class group and the identity of its LiDAR object; written.
        grounded: whether the vehicle's own motion is in the velocities.
        regrounded: whether that has changed: the two do not belong on one line.
        mean, sigma: (classes, modes) of ln(width/height).
        settings: `edgeguard.checks.kinematic_class.KinematicClassSettings`.

    Returns:
        (7, N) surprisal, nats; width over height; how far that is off, standard deviations; speed, m/s; how far
        off; acceleration, m/s²; how far off.
    """
    t, rig, own = scene.tracks, scene.rig, scene.camera_motion
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy, k = _EYE if rig is None else rig.camera.k
    cdef const double[:] hidden = scene.hidden, foot_hidden = scene.foot_hidden, size_range = scene.size_range
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef const unsigned char[:] is_new = flags(t.is_new)
    cdef double dt = scene.dt_s, window_s = settings.window_s, min_age = settings.min_age_s
    cdef double min_height = settings.min_height_px
    cdef double noise = settings.speed_noise, own_acceleration = 0.0 if grounded else settings.own_acceleration
    cdef double box_noise = settings.box_noise, max_range = settings.max_range_m
    cdef double own_speed = settings.own_speed_mps, own_turn = settings.own_turn_rad_s
    cdef double[3] carried
    cdef Py_ssize_t n = slot.shape[0], i, s, mode
    table = nans((7, n))
    cdef double[:, ::1] out = table
    cdef unsigned char[::1] fresh = np.zeros(n, np.uint8)
    cdef double w, h, z, off, worst, ahead, nearer, across, along, off_across, off_along
    cdef bint clear
    _carried(own, carried)
    pass_time(shapes, dt, window_s)
    pass_time(velocities, dt, window_s)
    for i in range(n):
        s = slot[i]
        # What it is called now is judged afresh: a track that changes its class is another check's matter.
        fresh[i] = is_new[i] or (matched[i] and GROUP[label[i]] != who[0, s])
        if matched[i] or is_new[i]:
            who[0, s] = GROUP[label[i]]
        w, h = larger(box[i, 2] - box[i, 0], 1.0), larger(box[i, 3] - box[i, 1], 1.0)
        clear = matched[i] and not cut[i] and hidden[i] < 0.15 and foot_hidden[i] < 0.3 and h >= min_height
        if fresh[i]:
            clear_line(shapes, s)
            known_s[0, s] = 0.0
        elif clear:
            known_s[0, s] += dt
        if clear:
            shapes[s, WEIGHT] += 1.0
            shapes[s, Y] += log(w / h)
            shapes[s, Y + 2] += (box[i, 0] + box[i, 2]) / 2
            shapes[s, Y + 4] += (box[i, 1] + box[i, 3]) / 2
            shapes[s, Y + 6] += log(h)
            if known_s[0, s] >= min_age and asserted[i]:
                out[0, i] = 0.0
    _follow_velocities(scene, velocities, known_s, who, fresh, regrounded, carried)
    for i in range(n):
        s, off = slot[i], mean_of(shapes, slot[i], 0)
        out[1, i], worst = exp(off), INFINITY
        for mode in range(mean.shape[1]):
            worst = smaller(worst, fabs(off - mean[label[i], mode]) / sigma[label[i], mode])
        out[2, i] = worst
        z = size_range[i]
        if rig is not None and z <= max_range:
            # x = u·Z: sideways speed from the box's drift less what coming nearer alone would move it.
            ahead = ((box[i, 0] + box[i, 2]) / 2 - k[0, 2]) / k[0, 0]
            if known_s[1, s] >= min_age:
                across, along = mean_of(velocities, s, 0), mean_of(velocities, s, 1)
                off_across = off_along = noise
            else:
                nearer, off = slope_of(shapes, s, 3), box_noise * slope_noise(shapes, s)
                across = z * (slope_of(shapes, s, 1) / k[0, 0] - ahead * nearer) + carried[0] + carried[1] * z
                along = -z * nearer + carried[2] - carried[1] * ahead * z
                off_across = off * HEIGHT[label[i]] + fabs(ahead) * z * off + noise
                off_along = off * z + noise
            if own is None:
                # The least speed over the ground that explains what is seen.
                across, along = larger(fabs(across) - own_turn * z, 0.0), larger(fabs(along) - own_speed, 0.0)
            out[3, i] = hypot(across, along)
            off = hypot(off_across * across, off_along * along) / larger(out[3, i], 1e-6)
            out[4, i] = larger(out[3, i] - MAX_SPEED[label[i]], 0.0) / larger(off, noise)
        if known_s[1, s] >= min_age:
            out[5, i] = hypot(slope_of(velocities, s, 0), slope_of(velocities, s, 1))
            out[5, i] = larger(out[5, i] - own_acceleration, 0.0)
            off = 2.0 * noise * slope_noise(velocities, s)
            out[6, i] = larger(out[5, i] - MAX_ACCELERATION[label[i]], 0.0) / off
        if out[0, i] == 0.0:
            worst = fmax(worst, fmax(out[4, i], out[6, i]))
            out[0, i] = 0.5 * worst * worst
    return table


cdef void _follow_velocities(
    scene, double[:, ::1] velocities, double[:, ::1] known_s, long long[:, ::1] who, const unsigned char[::1] fresh,
    bint regrounded, const double *carried,
):
    """Take the velocities of the tracks' LiDAR objects over the ground in, if the vehicle's own motion is known."""
    t, pairing, seen = scene.tracks, scene.pairing, scene.objects
    if pairing is None or seen is None or not len(seen.id):
        return
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const long long[:] object_of = pairing.object_of, ident = seen.id
    cdef const double[:, :] center = seen.center, velocity = seen.velocity
    cdef const double[:] age_s = seen.age_s
    cdef const unsigned char[:] measured = flags(seen.matched)
    cdef double dt = scene.dt_s
    cdef Py_ssize_t i, j, s
    cdef long long partner
    cdef bint paired
    for i in range(slot.shape[0]):
        s, j = slot[i], object_of[i]
        partner = ident[j] if j >= 0 and measured[j] else -1
        paired = partner >= 0 and age_s[j] >= 0.5
        if who[1, s] != partner or fresh[i] or regrounded:
            clear_line(velocities, s)
            known_s[1, s] = 0.0
        elif paired:
            known_s[1, s] += dt
        who[1, s] = partner
        if paired:
            velocities[s, WEIGHT] += 1.0
            velocities[s, Y] += velocity[j, 0] + carried[0] + carried[1] * center[j, 2]
            velocities[s, Y + 2] += velocity[j, 1] + carried[2] - carried[1] * center[j, 0]


cdef void _carried(own, double *out):
    """Write what the camera's own motion adds to velocities seen from it, m/s: at x right and z ahead,
    out[0] + out[1]·z sideways and out[2] − out[1]·x along."""
    out[0] = out[1] = out[2] = 0.0
    if own is not None:
        velocity, turn = own
        out[0], out[1], out[2] = velocity[0], turn[1], velocity[2]


_EYE = np.eye(3)


# Rows of a table of how surely each track has been seen.
cdef enum:
    NOW  # logit of late
    USUAL  # at a height of 100 px
    SURE_S  # for how long that is learnt, s

CONFIDENCES = SURE_S + 1

# Beyond this score detectors saturate, and a logit means nothing.
cdef double SATURATED = 0.95


def lost_faith(scene, double[:, ::1] memory, const double[::1] scale, settings):
    """Judge whether the network loses faith in what stands in plain view (see `edgeguard.checks.confidence`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        memory: (CONFIDENCES, capacity), as above; written.
        scale: (classes,) of the Laplace law of falls, logits.
        settings: `edgeguard.checks.confidence.ConfidenceSettings`.

    Returns:
        (4, N) surprisal, nats; fall of the logit; fall that is common to all; for how long it is known, s.
    """
    t = scene.tracks
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden, edge_px = scene.edge_px, score = t.score
    cdef const long long[:] label = t.label
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted), cut = flags(scene.truncated)
    cdef const unsigned char[:] is_new = flags(t.is_new), twin = flags(scene.duplicate)
    cdef double dt = scene.dt_s, border = settings.edge_px, min_height = settings.min_height_px
    cdef double min_age = settings.min_age_s, memory_s = settings.memory_s, per_log_height = settings.per_log_height
    cdef double follow = 1.0 - exp(-dt / <double>settings.window_s), most = log(SATURATED / (1.0 - SATURATED))
    cdef Py_ssize_t n = slot.shape[0], i, s, known = 0
    table = nans((4, n))
    cdef double[:, ::1] out = table
    cdef double[::1] falls = np.empty(n)
    cdef double logit, by_size, fall, known_s, common = 0.0
    cdef bint first, clear
    for i in range(n):
        s = slot[i]
        clear = matched[i] and not cut[i] and hidden[i] < 0.15 and edge_px[i] > border and not twin[i]
        clear = clear and box[i, 3] - box[i, 1] >= min_height
        known_s = 0.0 if is_new[i] else memory[SURE_S, s]
        first = clear and known_s <= 0.0
        logit = clamped(score[i], 1.0 - SATURATED, SATURATED)
        logit = log(logit / (1.0 - logit))
        # The level is kept at one apparent size: going away is no loss of faith.
        by_size = per_log_height * log(larger(box[i, 3] - box[i, 1], 1.0) / 100.0)
        if first:
            memory[NOW, s], memory[USUAL, s] = logit, logit - by_size
        elif clear:
            memory[NOW, s] += follow * (logit - memory[NOW, s])
        fall = smaller(memory[USUAL, s] + by_size, most) - memory[NOW, s]
        if clear and known_s >= min_age:
            falls[known] = fall
            known += 1
            if asserted[i]:
                out[0, i] = 0.0
        if clear and not first:
            # Like a mean at first, then fading; a fall does not become the rule.
            memory[USUAL, s] -= (1.0 - exp(-dt / clamped(known_s, dt + 1e-6, memory_s))) * smaller(fall, scale[label[i]])
        out[1, i], out[3, i] = fall, known_s + (larger(dt, 1e-3) if clear else 0.0)
        memory[SURE_S, s] = out[3, i]
    # What all tracks lose at once is sun, blur or dusk.
    if known >= 4:
        common = median_of(falls, known)
    for i in range(n):
        out[1, i] -= larger(common, 0.0)
        out[2, i] = common
        if out[0, i] == 0.0:
            out[0, i] = larger(out[1, i] / scale[label[i]], 0.0)
    return table
