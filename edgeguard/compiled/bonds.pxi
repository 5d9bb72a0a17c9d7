# Which track has been which LiDAR object lately. See `edgeguard.bonds`.

# Rows of a (N_BOND, capacity) table of identities and stamps, and of a (N_BOND_RANGE, capacity) one of ranges, of
# camera tracks; of a (N_OWNER, capacity) table of LiDAR objects.
cdef enum:
    PARTNER  # identity of the object that was the track; -1 none
    PARTNER_NS  # when it last surely was
    RANGE_NS  # when its range was last known; 0 never
    N_BOND

cdef enum:
    BOND_M  # range at which LiDAR last held the track, metres
    BOND_MPS  # how fast that grew
    BOND_SIZE  # range over that at which its class' size fills its box; NaN unknown
    N_BOND_RANGE

cdef enum:
    OWNER  # identity of the track that was the object; -1 none
    OWNER_NS  # when it last surely was
    N_OWNER

BONDS, BOND_RANGES, OWNERS = N_BOND, N_BOND_RANGE, N_OWNER

cdef const unsigned char[::1] PERSON = np.array([c.group == "person" for c in objects.CLASSES], np.uint8)

cdef double MEMORY_S = 1.0
cdef double UNKNOWN = 0.35, UNKNOWN_FIT = 0.8, UNKNOWN_PART = 0.4
# How fast a range may change beyond what is known of it: a detector's box keeps its speed, a cluster's middle jumps
# as parts of it come into view.
cdef double STRAY_MPS = 6.0, CLOSING_MPS = 30.0
# A detector that sees one end of a car may sit half its length off; near by, a share of the range.
cdef double OFF_M = 2.0, OFF = 0.15
cdef double FASTEST_MPS = 70.0, STEADY_S = 0.25
# Both sensors looked for so long, and neither thing was the other.
cdef double STRANGERS_S = 0.25


cdef double _held_m(const long long[:, ::1] bonds, const double[:, ::1] ranges, Py_ssize_t s, long long stamp_ns):
    """Return the range at which LiDAR lately held the track of a slot, moved on to now; NaN if it did not."""
    cdef double ago_s = <double> (stamp_ns - bonds[RANGE_NS, s]) * 1e-9
    if not (bonds[RANGE_NS, s] > 0 and ago_s < MEMORY_S):
        return NAN
    return larger(ranges[BOND_M, s] + ranges[BOND_MPS, s] * smaller(ago_s, MEMORY_S), 1.0)


def held_range(const long long[:, ::1] bonds, const double[:, ::1] ranges, const Py_ssize_t[:] slots, long long stamp_ns):
    """Return (S,) range at which LiDAR lately held tracks, moved on to now, metres; NaN if it did not."""
    out = np.empty(slots.shape[0])
    cdef double[::1] o = out
    cdef Py_ssize_t i
    for i in range(slots.shape[0]):
        o[i] = _held_m(bonds, ranges, slots[i], stamp_ns)
    return out


def expected(
    long long stamp_ns, Py_ssize_t detections, t, const double[:] size_range, seen, bint whole,
    long long[:, ::1] bonds, double[:, ::1] ranges, long long[:, ::1] owners,
):
    """Return what the past says of each track and object; what began on this frame has none.

    A LiDAR that held a track lately knows its range far better than the size of a box does. A class' usual size may
    mislead, a van's say, where an object fits the box: such a one may be off by more.

    Args:
        stamp_ns: of the frame, of so many detections.
        t, seen: `edgeguard.tracking.camera.Tracks`, N of them; `edgeguard.tracking.lidar.LidarObjects`, M of them.
        size_range: (N,) range at which a track's class fills its box, metres; NaN unknown.
        whole: as in `edgeguard.pairing.pair`.
        bonds, ranges, owners: of all slots; written.

    Returns:
        (D,) row of each detection's track, -1 none; (4, N) `track_range`, `range_gate`, `fit_gate` and `box_range` of
        `edgeguard.pairing.pair`; (N,) row of the object that was the track until now, -1 none; (N, M) whether both
        are known to be two things.
    """
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const long long[:] detection = t.detection, ident = seen.id
    cdef const unsigned char[:] is_new = flags(t.is_new), fresh = flags(seen.is_new)
    cdef const Py_ssize_t[:] place = seen.slot
    cdef Py_ssize_t n = slot.shape[0], m = place.shape[0], i, j, s
    of_detection, table, loyal = np.full(detections, -1, np.int64), np.empty((4, n)), np.full(n, -1, np.int64)
    cdef long long[::1] of = of_detection, partner_row = loyal
    cdef double[:, ::1] o = table
    cdef double last, off
    for j in range(m):
        if fresh[j]:
            owners[OWNER, place[j]] = -1
    for i in range(n):
        s = slot[i]
        if is_new[i]:
            bonds[PARTNER, s], bonds[RANGE_NS, s], ranges[BOND_SIZE, s] = -1, 0, NAN
        if detection[i] >= 0:
            of[detection[i]] = i
        last = _held_m(bonds, ranges, s, stamp_ns)
        if last == last:
            off = smaller(OFF, OFF_M / last) if whole else OFF
            off += (STRAY_MPS if whole else CLOSING_MPS) * (<double> (stamp_ns - bonds[RANGE_NS, s]) * 1e-9) / last
            o[0, i], o[1, i], o[2, i] = last, off, off
        else:
            o[0, i], o[1, i] = size_range[i], UNKNOWN if whole else UNKNOWN_PART
            o[2, i] = UNKNOWN_FIT if whole else UNKNOWN_PART
        o[3, i] = ranges[BOND_SIZE, s] * size_range[i]
        if bonds[PARTNER, s] >= 0:
            for j in range(m):
                if ident[j] == bonds[PARTNER, s]:
                    partner_row[i] = j
    return of_detection, table, loyal, _rivals(stamp_ns, t, seen, bonds, owners)


cdef object _rivals(long long stamp_ns, t, seen, const long long[:, ::1] bonds, const long long[:, ::1] owners):
    """Return (N, M) 1 where a track and an object are of two kinds, or were both seen, and not as one thing.

    Beside the other's sure partner, or for a while before the track has had any. Then they are two things, however
    well one covers the other now.
    """
    cdef const Py_ssize_t[:] slot = t.slot, place = seen.slot
    cdef const long long[:] track = t.id, ident = seen.id, label = t.label, kind = seen.label
    cdef const double[:] age_s = t.age_s, known_s = seen.age_s
    cdef Py_ssize_t n = slot.shape[0], m = place.shape[0], i, j, s, p
    two = np.empty((n, m), np.uint8)
    cdef unsigned char[:, ::1] o = two
    cdef long long began_ns
    cdef long long[::1] object_began_ns = np.empty(m, np.int64)
    for j in range(m):
        object_began_ns[j] = stamp_ns - <long long> rint(known_s[j] * 1e9)
    for i in range(n):
        s, began_ns = slot[i], stamp_ns - <long long> rint(age_s[i] * 1e9)
        for j in range(m):
            p = place[j]
            if bonds[PARTNER, s] >= 0:
                o[i, j] = ident[j] != bonds[PARTNER, s] and object_began_ns[j] < bonds[PARTNER_NS, s]
            else:
                o[i, j] = age_s[i] >= STRANGERS_S and known_s[j] >= STRANGERS_S
            if owners[OWNER, p] >= 0 and track[i] != owners[OWNER, p] and began_ns < owners[OWNER_NS, p]:
                o[i, j] = 1
            # A car's box is not borne out by a person that stands in it.
            if RIGID[label[i]] and kind[j] >= 0 and PERSON[kind[j]]:
                o[i, j] = 1
    return two


def bond(
    long long stamp_ns, t, const double[:] size_range, seen, pairing, bint whole, long long[:, ::1] bonds,
    double[:, ::1] ranges, long long[:, ::1] owners,
):
    """Remember which track is which object, and of sure pairs where they stand.

    Args:
        pairing: `edgeguard.pairing.Pairing` of the frame.
        stamp_ns, t, size_range, seen, whole, bonds, ranges, owners: as for `expected`.
    """
    cdef const Py_ssize_t[:] slot = t.slot, place = seen.slot
    cdef const long long[:] track = t.id, ident = seen.id, hits = seen.hits, object_of = pairing.object_of
    cdef const double[:] overlap = pairing.object_overlap
    cdef const double[:, :] center = seen.center, velocity = seen.velocity
    cdef Py_ssize_t i, j, s
    cdef double now_m, since_s, came_m, rate_mps, size
    for i in range(slot.shape[0]):
        s, j = slot[i], object_of[i]
        if j < 0:
            continue
        bonds[PARTNER, s] = ident[j]
        if not overlap[i] >= SURE:
            continue
        now_m, since_s = center[j, 2], <double> (stamp_ns - bonds[RANGE_NS, s]) * 1e-9
        # What comes at motorway speed gets a new identity with each sweep: the track knows how fast it came.
        came_m = now_m - ranges[BOND_M, s] if bonds[RANGE_NS, s] > 0 and since_s < STEADY_S else 0.0
        rate_mps = velocity[j, 1] if hits[j] >= 3 else came_m / larger(since_s, 1e-3)
        ranges[BOND_MPS, s] = smaller(larger(rate_mps, -FASTEST_MPS), FASTEST_MPS) if whole else 0.0
        ranges[BOND_M, s], bonds[RANGE_NS, s], bonds[PARTNER_NS, s] = now_m, stamp_ns, stamp_ns
        size = now_m / size_range[i]
        if isfinite(ranges[BOND_SIZE, s]) and isfinite(size):
            size = 0.8 * ranges[BOND_SIZE, s] + 0.2 * size
        ranges[BOND_SIZE, s] = size
        owners[OWNER, place[j]], owners[OWNER_NS, place[j]] = track[i], stamp_ns
