# Does a body that raw clusters show still have its box? See `edgeguard.checks.object_agreement`.

# A camera that is made to lose a body by fits and starts must not excuse the next by the last: only what lapsed
# longer ago than an alarm may take is its habit. (Where both sensors' detectors speak, benign lapses come in
# bouts as well, and each excuses the next.)
cdef double BOUT_OVER_S = 0.5

# Rows of a table of bodies that raw clusters show.
cdef enum:
    TALL_M  # by its camera box
    RANGE_M
    CLUSTER  # identity of its cluster
    HIGH_M  # height of that
    RETURNS  # from it, 0 too few
    FACE_M  # range of the nearest of them
    N_BODIES

BODIES = N_BODIES

# Far off, a car gives too few returns to stand out as a cluster; so many still show that it stands there.
cdef double FEW_RETURNS = 8.0


def bodies_camera_lost(scene, pairing, double[:, ::1] bodies, double[:, ::1] habits):
    """Return (N,) how surely the camera just lost a track whose body raw clusters still show, nats; else NaN.

    Clusters change identity with every sweep, so the track is what is followed: bodies do not stand on one
    another, and what fills the same width at the same range is what stood there before. A lost track's own
    guess of where it is goes astray in half a second; where its cluster did keep identity and height, that
    shows where the body is. Without a cluster, as many returns as before from where a vehicle should be show it
    until then. Lost is also what the camera's score fell from to where nobody acts on it.

    Args:
        scene: `edgeguard.scene.Scene` of N tracks and M clusters.
        pairing: its `edgeguard.pairing.Pairing`.
        bodies: (BODIES, capacity) of the tracks' bodies, NaN unknown; written.
        habits: (HABITS, capacity) how surely and steadily the camera held each track while it did; written.
    """
    t, seen, detections = scene.tracks, scene.objects, scene.frame.detections
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const long long[:] object_of = pairing.object_of, ident = seen.id
    cdef const unsigned char[:] is_new = flags(t.is_new), matched = flags(t.matched), cut = flags(scene.truncated)
    cdef const double[:, :] box = t.xyxy, center = seen.center, size = seen.size
    cdef const double[:] score = t.score, missed_s = t.missed_s, overlap = pairing.object_overlap
    cdef const long long[:] label = t.label
    cdef bint counted = scene.support is not None
    cdef const double[:] on = scene.support.on if counted else score
    cdef const double[:] face = scene.support.foreground if counted else score
    cdef double focal = scene.rig.camera.focal, dt = scene.dt_s, asserted = scene.settings.asserted_confidence
    cdef double keep = exp(-dt), keep_lapses = exp(-dt / 2.0), follow = 1.0 - exp(-dt / 0.5)
    cdef Py_ssize_t n = slot.shape[0], i, s
    lost = nans(n)
    cdef double[::1] o = lost
    cdef double usual, range_m, height_m, usual_m, alone
    cdef bint faint, known
    for i in range(n):
        s = slot[i]
        if is_new[i]:
            bodies[TALL_M, s], bodies[RETURNS, s] = NAN, 0.0
            begin(habits, s)
        usual, alone = belief(habits, s), NAN
        faint = score[i] < 0.5 * usual and score[i] < asserted
        if matched[i] and not faint and object_of[i] >= 0 and overlap[i] >= SURE and not cut[i]:
            range_m = larger(center[object_of[i], 2], 0.5)
            height_m = (box[i, 3] - box[i, 1]) * range_m / focal
            usual_m = bodies[TALL_M, s]
            bodies[TALL_M, s] = height_m if isnan(usual_m) else usual_m + follow * (height_m - usual_m)
            bodies[RANGE_M, s], bodies[CLUSTER, s] = range_m, ident[object_of[i]]
            bodies[HIGH_M, s] = size[object_of[i], 1]
        if matched[i] and not faint and counted and RIGID[label[i]] and not cut[i]:
            known = bodies[RETURNS, s] >= FEW_RETURNS and isfinite(face[i])
            bodies[RETURNS, s] += (follow if known else 1.0) * (on[i] - bodies[RETURNS, s])
            bodies[FACE_M, s] = face[i]
        if (faint if matched[i] else missed_s[i] < 1.0) and detections is not None:
            if isfinite(bodies[TALL_M, s]):
                alone = _stands_alone(scene, box, i, bodies, s, 0.5 * usual)
            if isnan(alone) and not matched[i] and missed_s[i] <= 0.5 and bodies[RETURNS, s] >= FEW_RETURNS and counted:
                if on[i] >= 0.6 * bodies[RETURNS, s] and fabs(log(face[i] / bodies[FACE_M, s])) < 0.15:
                    alone = not _answered(scene, box, i, box[i, 3] - box[i, 1], 0.5 * usual)
        if (matched[i] and not faint) or isfinite(alone):
            learn(habits, s, True, alone > 0, 0.0, 0.0, 0.0, score[i], dt, keep, keep_lapses, BOUT_OVER_S)
        o[i] = HELD * alone * believed(belief(habits, s)) * steady(habits, s, 1.0)
    return lost


cdef double _stands_alone(
    scene, const double[:, :] tracks, Py_ssize_t i, double[:, ::1] bodies, Py_ssize_t s, double least
):
    """Return 1 where a lost track's body stands without a box of such a score, 0 with one; else NaN."""
    seen = scene.objects
    cdef const double[:, :] place = scene.object_boxes, center = seen.center, size = seen.size
    cdef const long long[:] ident = seen.id
    cdef const unsigned char[:] measured = flags(seen.matched)
    cdef double z, alone = NAN
    cdef bint followed
    cdef Py_ssize_t j, d
    for j in range(place.shape[0]):
        z = larger(center[j, 2], 0.5)
        # A cluster's middle jumps in range as parts of it come into view.
        if not measured[j] or size[j, 0] < SLIVER_M or not fabs(log(z / bodies[RANGE_M, s])) < 0.3:
            continue
        # One that has merged with another's has grown; what is half hidden may well go unseen.
        followed = ident[j] == bodies[CLUSTER, s] and fabs(log(size[j, 1] / bodies[HIGH_M, s])) < 0.3
        if followed:
            for d in range(place.shape[0]):
                if measured[d] and center[d, 2] < z - 1.0:
                    followed = followed and common(place, j, place, d) < IN_OPEN * area_of(place, j)
        if followed:
            bodies[RANGE_M, s] = z
        elif _shared_width(tracks, i, place, j) < 0.6:
            continue
        if _answered(scene, place, j, scene.rig.camera.focal * bodies[TALL_M, s] / z, least):
            return 0.0
        alone = 1.0
    return alone


cdef bint _answered(scene, const double[:, :] place, Py_ssize_t j, double tall_px, double least):
    """Return whether a box of such a score covers the place of a body that should appear so tall."""
    detections = scene.frame.detections
    cdef const double[:, :] boxes = detections.xyxy.astype(np.float64)
    cdef const double[:] score = _scores(detections)
    cdef const long long[:] road = objects.class_numbers(detections.class_names)[detections.class_id]
    cdef double bottom = scene.image_size[1] if scene.image_size else INFINITY, whole, small
    cdef Py_ssize_t d
    for d in range(boxes.shape[0]):
        # A thing that the road has no class for is no answer, nor is a box that is hardly believed.
        if road[d] < 0 or not score[d] >= least:
            continue
        small = larger(smaller(area_of(boxes, d), area_of(place, j)), 1e-9)
        if not common(place, j, boxes, d) / small >= 0.5:
            continue
        # A box on a part of a body is that of a lesser one, farther off.
        whole = smaller(tall_px, bottom - boxes[d, 1])
        if log(larger(boxes[d, 3] - boxes[d, 1], 1.0)) > log(larger(whole, 1.0)) - 0.4:
            return True
    return False


cdef double _shared_width(const double[:, :] a, Py_ssize_t i, const double[:, :] b, Py_ssize_t j):
    """Return the intersection over union of two boxes' widths alone."""
    cdef double both = larger(smaller(a[i, 2], b[j, 2]) - larger(a[i, 0], b[j, 0]), 0.0)
    return both / larger(larger(a[i, 2], b[j, 2]) - smaller(a[i, 0], b[j, 0]), 1e-9)
