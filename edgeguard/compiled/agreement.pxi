# Does each sensor see the objects that the other sees? See `edgeguard.checks.object_agreement`.

# Surprisal of a disagreement on one frame, nats: how rarely good detectors disagree there.
cdef double HELD = 8.5, STRAY = 1.5, RAREST = 8.5
# What the camera alone sees: LiDAR detectors overlook people beside the road for seconds, cars hardly ever.
cdef double NEVER_RIGID = 8.5, NEVER_LIMBED = 3.0
# Returns of a body that fills its box; an ordinary one gives half of them.
cdef double MANY_RETURNS = 16.0
# A box this near the image's side is cut by it.
cdef double INSIDE_PX = 8.0
# Farther than this, detectors find and lose things as they please.
cdef double APPEAR_RANGE_M = 30.0
# Of a person or rider, whom detectors lose sooner.
cdef double LIMBED_RANGE_M = 28.0
# Nobody is as narrow: such a cluster is what a neighbour, whose own has swallowed the rest, leaves of a body.
cdef double SLIVER_M = 0.2


def tracks_lidar_misses(
    scene, pairing, double[:, ::1] habits, long long[::1] partners, double[:, ::1] seats, lost, settings
):
    """Judge camera tracks that LiDAR should hold, and those that the camera lost or moved.

    Args:
        scene: `edgeguard.scene.Scene` of N tracks and M LiDAR objects.
        pairing: its `edgeguard.pairing.Pairing`.
        habits: (HABITS, capacity) of the tracks; written.
        partners: (capacity,) identity of the object that each track's seat is on; written.
        seats: (SEATS, capacity) of the tracks' boxes on their objects; written.
        lost: (N,) from `bodies_camera_lost`; None where LiDAR objects are classified.
        settings: `edgeguard.checks.object_agreement.ObjectAgreementSettings`.

    Returns:
        (4, N) surprisal, nats; for how long both held it, s; range, metres; how far its box slid off its object,
        standard deviations; and (N,) whether LiDAR misses it.
    """
    t, seen = scene.tracks, scene.objects
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const long long[:] label = t.label, object_of = pairing.object_of, ident = seen.id
    cdef const unsigned char[:] is_new = flags(t.is_new), matched = flags(t.matched), asserted = flags(scene.asserted)
    cdef const unsigned char[:] cut = flags(scene.truncated), measured = flags(seen.matched)
    cdef const double[:, :] box = t.xyxy, place = scene.object_boxes, center = seen.center
    cdef const double[:, ::1] occluders = scene.occluders
    cdef const double[:] score = t.score, confidence = t.confidence, hidden = scene.hidden, edge_px = scene.edge_px
    cdef const double[:] size_range = scene.size_range, own_range = scene.range, lidar_held_s = scene.lidar_held_s
    cdef const double[:] overlap = pairing.object_overlap, own_object = pairing.own_object
    cdef bint classified = lost is None
    cdef const unsigned char[:] supported = measured if classified else flags(scene.supported)
    cdef const double[:] vanished = hidden if classified else lost
    cdef const double[:] expected = hidden if classified or scene.support is None else scene.support.expected
    cdef double from_s = settings.held_s, max_hidden = settings.max_hidden, min_height = settings.min_height_px
    cdef double max_range = settings.max_range_m, border = settings.edge_px, dt = scene.dt_s
    cdef double keep = exp(-dt), keep_lapses = exp(-dt / 2.0)
    cdef Py_ssize_t n = slot.shape[0], i, j, k, s
    table, missing = nans((4, n)), np.zeros(n, bool)
    cdef double[:, ::1] out = table
    cdef unsigned char[::1] misses = missing.view(np.uint8)
    cdef double held_s, z, clear, short, rare, off
    cdef bint held, told, whole, tall, near, rigid, fresh
    for i in range(n):
        s, j, z, rigid = slot[i], object_of[i], size_range[i], RIGID[label[i]]
        if is_new[i]:
            begin(habits, s)
        held_s = held_before(habits, s, lidar_held_s[i])
        held = held_s >= from_s
        told = matched[i] and asserted[i] and SOLID[label[i]]
        whole = not cut[i] and edge_px[i] >= border
        tall = box[i, 3] - box[i, 1] >= min_height
        near = z <= max_range
        if not classified:
            # Clusters merge and break; only what LiDAR had held as returns at that range may be missed.
            clear, short = hidden[i] < max_hidden, not supported[i]
            # What the camera sees however small it is, LiDAR does where many rays meet it.
            told = told and held and whole and (tall or expected[i] >= MANY_RETURNS) and near and clear > 0
        else:
            clear = as_visible(hidden[i], habits[HIDDEN, s], held, max_hidden)
            short = short_of(own_object[i], habits[OVERLAP, s]) if held else own_object[i] < LEAST
            if held:
                told = told and clear > 0 and edge_px[i] >= INSIDE_PX and (near or z != z)
            else:
                told = told and clear > 0 and whole and tall and near
        misses[i] = short > 0 and matched[i]
        if told:
            if held:
                rare = HELD * steady(habits, s, 1.0)
                rare *= clamped(((max_range if rigid else LIMBED_RANGE_M) - fmax(z, 0.0)) / 5.0, 0.0, 1.0)
            else:
                # Detectors' recall of what they do not hold yet falls off with range, of people sooner.
                rare = NEVER_RIGID if rigid else NEVER_LIMBED
                rare *= clamped(((36.0 if rigid else 20.0) - z) / 6.0, 0.0, 1.0)
                # What LiDAR had found there, if only for a moment, is no invention of the camera's; what
                # overlaps less only brushes it.
                if habits[OVERLAP, s] >= 0.3:
                    rare *= clamped(1.0 - (habits[TOLD_S, s] - habits[LAPSED_S, s]) / 0.1, 0.25, 1.0)
            out[0, i] = rare * short * clear * clamped(confidence[i] / 0.6, 0.0, 1.0)
        learn(
            habits, s, told, misses[i], held_s, overlap[i], hidden[i], score[i], dt, keep, keep_lapses
        )
        if is_new[i]:
            partners[s] = -1
        if j < 0 and classified:
            # The object that it slid off, as long as no other box is there, is still its own.
            j = _deserted(pairing, ident, measured, partners[s])
        if classified and j >= 0 and matched[i]:
            fresh = partners[s] != ident[j]
            partners[s] = ident[j]
            off = slid(
                seats, s, fresh, box, i, place, j, _lies_elsewhere(pairing, box, i, place, center, j, measured),
                not rigid, dt,
            )
            if object_of[i] < 0 and seats[KNOWN_S, s] <= 0:
                partners[s], j = -1, -1
        if classified and j >= 0 and matched[i]:
            # A box that slides behind a neighbour takes no body there: hidden is also where it truly stands.
            if (
                seats[KNOWN_S, s] >= from_s and center[j, 2] <= APPEAR_RANGE_M
                and smaller(hidden[i], row_covered(place, j, occluders)) < 0.85
            ):
                out[3, i] = off
                if held and asserted[i]:
                    # A rigid body's box jitters as Gauss says; limbs swing farther than that.
                    out[0, i] = fmax(out[0, i], both_tails(off) if rigid else 0.5 * off * off)
        if (
            not classified and held and asserted[i] and edge_px[i] >= border and tall and not z > APPEAR_RANGE_M
            and vanished[i] == vanished[i]
        ):
            # Half hidden as it was while both held it, it is no easier to lose.
            clear = as_visible(hidden[i], habits[HIDDEN, s], True, max_hidden)
            if clear > 0:
                out[0, i] = vanished[i] * clear
        out[1, i], out[2, i] = held_s, center[j, 2] if j >= 0 else fmin(z, own_range[i])
    return table, missing


cdef Py_ssize_t _deserted(pairing, const long long[:] ident, const unsigned char[:] measured, long long partner):
    """Return the row of an object that is measured, but has no box; -1 where it is not so."""
    cdef const long long[:] track_of = pairing.track_of
    cdef const double[:] boxed = pairing.boxed
    cdef Py_ssize_t k
    for k in range(ident.shape[0]):
        if partner >= 0 and ident[k] == partner and measured[k] and track_of[k] < 0 and not boxed[k] > 0:
            return k
    return -1


cdef bint _lies_elsewhere(
    pairing, const double[:, :] box, Py_ssize_t i, const double[:, :] place, const double[:, :] center, Py_ssize_t j,
    const unsigned char[:] measured,
):
    """Return whether a box lies on another object rather than on its own: one as far away, as the box is as high as
    before, and without a better box."""
    cdef const long long[:] track_of = pairing.track_of
    cdef const double[:] overlap = pairing.object_overlap
    cdef double own = iou_of(box, i, place, j), other
    cdef Py_ssize_t k
    for k in range(place.shape[0]):
        if not measured[k] or k == j or fabs(log(larger(center[k, 2], 0.5) / larger(center[j, 2], 0.5))) > 0.25:
            continue
        other = iou_of(box, i, place, k)
        if other > own + 1e-6 and not (track_of[k] >= 0 and overlap[track_of[k]] >= other):
            return True
    return False


def objects_in_view(scene, settings):
    """Return how LiDAR objects lie in the image.

    Args:
        scene: `edgeguard.scene.Scene` of M LiDAR objects.
        settings: `edgeguard.checks.object_agreement.ObjectAgreementSettings`.

    Returns:
        (M,) share of each box that nearer objects or camera tracks cover; (M,) share of it that is in the image;
        (M,) whether it is new and could be told to stand in the open.
    """
    seen = scene.objects
    cdef const double[:, :] box = scene.object_boxes, uncut = seen.xyxy, center = seen.center
    cdef const double[:, ::1] occluders = scene.occluders
    cdef const double[:] occluder_range = scene.occluder_range, held_s = scene.camera_held_s
    cdef const double[:] probability = seen.probability, bottom = seen.bottom, boxed = scene.pairing.boxed
    cdef const unsigned char[:] matched = flags(seen.matched), is_new = flags(seen.is_new)
    cdef bint classified = scene.objects_are_classified
    cdef double min_probability = settings.min_probability, border = settings.edge_px
    cdef double width = scene.image_size[0] if scene.image_size else 0.0, own, most
    cdef Py_ssize_t m = box.shape[0], i, j
    hidden, visible, fresh = np.empty(m), np.empty(m), np.zeros(m, bool)
    cdef double[::1] h = hidden, v = visible
    cdef unsigned char[::1] f = fresh.view(np.uint8)
    for i in range(m):
        own, most = larger(area_of(box, i), 1e-9), 0.0
        for j in range(occluders.shape[0]):
            # Where LiDAR has told which of both is nearer, the lower edge need not.
            if not occluder_range[j] > center[i, 2] - 0.5:
                most = larger(most, row_covered(box, i, occluders[j:j + 1]))
        for j in range(m):
            # What is likelier not there hides nothing, nor what the camera would have a class for and never saw.
            if not (matched[j] and probability[j] >= 0.6 and center[j, 2] < center[i, 2] - 1.0):
                continue
            if held_s[j] > 0 or boxed[j] > 0 or not classified:
                most = larger(most, common(box, i, box, j) / own)
        h[i] = most
        own = area_of(uncut, i)
        v[i] = area_of(box, i) / (larger(own, 1e-9) if own == own else 1e-9)
        # What overtakes comes into view from the side; higher above the road, it may have hung there unseen.
        f[i] = (
            is_new[i] and probability[i] >= min_probability and most < 0.15 and center[i, 2] < APPEAR_RANGE_M
            and box[i, 0] >= border and box[i, 2] <= width - border and not bottom[i] > 0.6
        )
    return hidden, visible, fresh


def objects_camera_misses(
    scene, pairing, const double[:] hidden, const double[:] visible, appeared, double[:, ::1] habits, settings
):
    """Judge LiDAR objects that the camera should box.

    Args:
        scene, pairing, settings: as above.
        hidden, visible: (M,) from `objects_in_view`.
        appeared: (M,) whether it stood up in the open.
        habits: (HABITS, capacity) of the objects; written.

    Returns:
        (2, M) surprisal, nats; for how long both held it, s; and (M,) whether they did.
    """
    t, seen, detections = scene.tracks, scene.objects, scene.frame.detections
    cdef const Py_ssize_t[:] slot = seen.slot
    cdef const double[:, :] box = scene.object_boxes, center = seen.center, size = seen.size, tracks = t.xyxy
    cdef const double[:, :] velocity = seen.velocity
    cdef const double[:] probability = seen.probability, held_s = scene.camera_held_s, last = t.score
    cdef const double[:] own_box = pairing.own_box, any_box = pairing.any_box, boxed = pairing.boxed
    cdef const double[:] scores = _scores(detections)
    cdef const long long[:] label = seen.label, box_of = pairing.box_of
    cdef const unsigned char[:] matched = flags(seen.matched), is_new = flags(seen.is_new), stood_up = flags(appeared)
    cdef const unsigned char[:] orphan = _orphans(scene, settings)
    cdef bint looked = detections is not None, classified = scene.objects_are_classified
    cdef double from_s = settings.held_s, max_hidden = settings.max_hidden, min_height = settings.min_height_px
    cdef double max_range = settings.max_range_m, border = settings.edge_px
    cdef double min_probability = settings.min_probability
    cdef double dt = scene.dt_s, keep = exp(-dt), keep_lapses = exp(-dt / 2.0)
    cdef double width = scene.image_size[0] if scene.image_size else 0.0, focal = scene.rig.camera.focal
    cdef Py_ssize_t m = slot.shape[0], i, j, s
    table, both = nans((2, m)), np.zeros(m, bool)
    cdef double[:, ::1] out = table
    cdef unsigned char[::1] was_held = both.view(np.uint8)
    cdef double clear, short, left, rare, overlap, mixed
    cdef bint held, told, orphaned, other
    cdef int beside
    for i in range(m):
        s = slot[i]
        if is_new[i]:
            begin(habits, s)
        out[1, i] = held_before(habits, s, held_s[i])
        # Whatever the object's identity: an attack on one sensor may unsettle the other's tracks.
        orphaned, left = False, 0.0
        for j in range(orphan.shape[0]):
            if orphan[j] and iou_of(tracks, j, box, i) >= SURE:
                orphaned, left = True, larger(left, last[j])
        was_held[i] = held = out[1, i] >= from_s or orphaned
        if stood_up[i] and not held:
            # What stands up in the open was not hidden a moment ago: half of it in view is enough to box it.
            clear = hidden[i] < 2.0 * max_hidden
        else:
            clear = as_visible(hidden[i], habits[HIDDEN, s], held, max_hidden)
        told = (
            looked and matched[i] and probability[i] >= min_probability and center[i, 2] <= max_range
            and visible[i] > 0.7 and box[i, 3] - box[i, 1] >= min_height
            and box[i, 0] >= INSIDE_PX and box[i, 2] <= width - INSIDE_PX
            and _stays(box, i, center, velocity, focal, width) and clear > 0
            and (held or (visible[i] > 0.9 and box[i, 0] >= border and box[i, 2] <= width - border))
        )
        # A cluster as slim as a post is nothing that the camera has a class for.
        told = told and (classified or (size[i, 0] >= SLIVER_M if held else stood_up[i] and size[i, 0] >= 0.4))
        beside = _people_beside(box, center, probability, label, i, &mixed)
        # Of two people side by side, one box often stands for both, and the more there are, the more go without:
        # where they overlap as two boxes of one body do, hardly where they merely touch.
        clear *= 1.0 - clamped((mixed - 0.2) / 0.25, 0.0, 1.0) * (1.0 - larger(pow(0.8, beside), 0.6))
        other = (own_box[i] if stood_up[i] or held else any_box[i]) < LEAST
        if held and classified:
            overlap = any_box[i] if beside > 0 and any_box[i] >= 0.35 else own_box[i]
            short = short_of(overlap, habits[OVERLAP, s])
        else:
            # Clusters merge and break: how well one usually overlaps says little of the next.
            short = other
        if told:
            if held:
                # A detector lets go of what it hardly believed in.
                rare = HELD * steady(habits, s, hidden[i]) * believed(left if orphaned else belief(habits, s))
            elif stood_up[i]:
                # A detector's false object of odds e^L is that rare, and no rarer.
                rare = -log(larger(1.0 - probability[i], 1e-9))
                rare = smaller(rare * (1.6 if label[i] >= 0 and RIGID[label[i]] else 1.0), RAREST)
            else:
                rare = STRAY
            out[0, i] = rare * short * clear
        learn(
            habits, s, told, short > 0 and matched[i], out[1, i], boxed[i], hidden[i],
            scores[box_of[i]] if box_of[i] >= 0 else NAN, dt, keep, keep_lapses,
        )
    return table, both


cdef const double[:] _scores(detections):
    return np.zeros(0) if detections is None else detections.score.astype(np.float64)


cdef const unsigned char[:] _orphans(scene, settings):
    """Return (N,) whether a track that both held was just lost; of none where LiDAR objects are clusters."""
    t = scene.tracks
    if not scene.objects_are_classified:
        return np.zeros(0, np.uint8)
    cdef const double[:] lidar_held_s = scene.lidar_held_s, held_s = t.held_s, missed_s = t.missed_s
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted)
    cdef double from_s = settings.held_s
    cdef unsigned char[::1] o = np.zeros(held_s.shape[0], np.uint8)
    cdef Py_ssize_t i
    for i in range(o.shape[0]):
        o[i] = not matched[i] and missed_s[i] < 1.0 and lidar_held_s[i] >= from_s and held_s[i] >= from_s and asserted[i]
    return o


cdef bint _stays(
    const double[:, :] box, Py_ssize_t i, const double[:, :] center, const double[:, :] velocity, double focal,
    double width,
):
    """Return whether an object is still in view in 0.3 s: the camera lets go of what rushes out."""
    cdef double z = larger(center[i, 2], 1.0)
    cdef double ahead_px = focal * (velocity[i, 0] - velocity[i, 1] * center[i, 0] / z) / z * 0.3
    return box[i, 0] + ahead_px >= 0 and box[i, 2] + ahead_px <= width


cdef int _people_beside(
    const double[:, :] box, const double[:, :] center, const double[:] probability, const long long[:] label,
    Py_ssize_t i, double *mixed,
):
    """Return how many people stand within 2 m of an object, if that is a person itself.

    `mixed` becomes the most that the box of one of them overlaps its own.
    """
    cdef Py_ssize_t j
    cdef int count = 0
    mixed[0] = 0.0
    if label[i] < 0 or RIGID[label[i]] or not probability[i] >= 0.5:
        return 0
    for j in range(label.shape[0]):
        if j == i or label[j] < 0 or RIGID[label[j]] or not probability[j] >= 0.5:
            continue
        if hypot(center[i, 0] - center[j, 0], center[i, 2] - center[j, 2]) < 2.0:
            count += 1
            mixed[0] = larger(mixed[0], iou_of(box, i, box, j))
    return count
