# What each subject was like while both sensors held it, and what explains that one of them does not see it now.

MIN_OVERLAP, SURE_OVERLAP = 0.2, 0.4
cdef double LEAST = MIN_OVERLAP, SURE = SURE_OVERLAP

# Rows of a table of habits; its columns are slots. A run of disagreement does not teach until it is over: what
# lasts stays strange. Runs in close succession may count as one bout.
cdef enum:
    HELD_S  # how long both held it, before the present bout
    OVERLAP  # the usual overlap of both, 0 unknown
    HIDDEN  # the usual hidden share
    BELIEF  # the camera's score of late
    LAST  # and at last
    BOUT_S  # how long ago the present bout began
    AGREED_S  # how long ago its last run ended
    RUN_S  # how long one did not see it in this bout
    TOLD_S  # of the last seconds before it, how long could be told
    LAPSED_S  # and how long one did not see it
    OPEN_RUN_S  # in this bout, while it stood in the open
    OPEN_LAPSED_S  # and how long of the last seconds one did not see it there
    N_HABITS

HABITS = N_HABITS

# Hidden shares up to which a thing stands in the open, and from which it is half hidden.
cdef double IN_OPEN = 0.25, HALF_HIDDEN = 0.45


cdef void begin(double[:, ::1] habits, Py_ssize_t s):
    """Forget who had this slot before."""
    cdef Py_ssize_t row
    for row in range(habits.shape[0]):
        habits[row, s] = 0.0


cdef double held_before(const double[:, ::1] habits, Py_ssize_t s, double now_s):
    """Return how long both held it before the present bout, or until now without one."""
    # A disagreement that has lasted for a second is how things are.
    return larger(habits[HELD_S, s], now_s) if 0.0 < habits[RUN_S, s] < 1.0 else now_s


cdef double believed(double score):
    """Return how surely the camera had held what it scored so, 0 to 1."""
    return clamped((score - 0.25) / 0.35, 0.0, 1.0)


cdef double belief(const double[:, ::1] habits, Py_ssize_t s):
    """Return the camera's score of late, its last one in half if that is less.

    Not the last alone: who takes an object from the camera lowers its score a frame before.
    """
    return smaller(habits[BELIEF, s], 0.5 * (habits[BELIEF, s] + habits[LAST, s]))


cdef double steady(const double[:, ::1] habits, Py_ssize_t s, double hidden):
    """Return how little of a disagreement is explained by the lapses of the last seconds before it, 0 to 1.

    Of a thing in the open, only what lapsed in the open tells; a `hidden` share of 1 counts all lapses.
    """
    cdef double half = clamped((hidden - IN_OPEN) / (HALF_HIDDEN - IN_OPEN), 0.0, 1.0)
    cdef double lapsed_s = habits[OPEN_LAPSED_S, s] + half * (habits[LAPSED_S, s] - habits[OPEN_LAPSED_S, s])
    # Half a second's agreement must be earned first; from a share of 0.15 on, lapses are nothing new.
    return clamped(1.0 - lapsed_s / (habits[TOLD_S, s] + 0.5) / 0.15, 0.0, 1.0)


cdef double short_of(double overlap, double usual):
    """Return how surely an overlap is not the pair's usual one, 0 to 1."""
    return clamped((0.55 - overlap / larger(usual, SURE)) / 0.25, 0.0, 1.0)


cdef double as_visible(double hidden, double usual, bint held, double max_hidden):
    """Return whether a subject is as much in view as when both held it, 0 to 1.

    Args:
        hidden: hidden share now.
        usual: while both held it.
        held: whether they did.
        max_hidden: share above which nothing can be told of what they did not.
    """
    cdef double more
    if not held:
        return hidden < max_hidden
    # As far hidden as it was while both held it, it is no easier to lose.
    more = larger(hidden - usual, 0.25 * hidden)
    return (
        clamped((larger(usual + 0.2, max_hidden) - hidden) / 0.3 + 1.0, 0.0, 1.0)
        * (1.0 - 0.4 * more) * clamped((0.95 - hidden) / 0.15, 0.0, 1.0)
    )


cdef void learn(
    double[:, ::1] habits, Py_ssize_t s, bint told, bint missed, double held_s, double overlap, double hidden,
    double score, double dt, double keep, double keep_lapses, double over_s=0.0,
):
    """Take a frame of one subject in.

    Args:
        habits: the table.
        s: its slot.
        told: whether the other sensor could be expected to see it.
        missed: whether it did not.
        held_s: how long both have held it.
        overlap: of both, where it was not missed.
        hidden: hidden share.
        score: the camera's, where it was not missed; NaN where there is none.
        dt: since the frame before, s.
        keep, keep_lapses: what is left of memories and of lapses after it.
        over_s: agreement after which a bout is over and teaches, s; one that lasts twice as long is a habit.
    """
    cdef double run_s = habits[RUN_S, s], open_s = habits[OPEN_RUN_S, s], rate
    habits[BOUT_S, s] = habits[BOUT_S, s] + dt if run_s > 0 else dt
    if missed:
        if told:
            if run_s <= 0:
                habits[HELD_S, s] = held_s
            habits[AGREED_S, s] = 0.0
            habits[RUN_S, s] += dt
            habits[OPEN_RUN_S, s] += dt * clamped((HALF_HIDDEN - hidden) / (HALF_HIDDEN - IN_OPEN), 0.0, 1.0)
        return
    habits[AGREED_S, s] += dt
    if habits[AGREED_S, s] >= over_s or habits[BOUT_S, s] >= 2.0 * over_s:
        habits[RUN_S, s] = habits[OPEN_RUN_S, s] = 0.0
    # What was never seen before has not lapsed.
    if not habits[TOLD_S, s] > 0 or habits[RUN_S, s] > 0:
        run_s = open_s = 0.0
    habits[LAPSED_S, s] = keep_lapses * (habits[LAPSED_S, s] + run_s)
    habits[OPEN_LAPSED_S, s] = keep_lapses * (habits[OPEN_LAPSED_S, s] + open_s)
    habits[TOLD_S, s] = keep_lapses * (habits[TOLD_S, s] + run_s) + dt
    rate = 1.0 if habits[TOLD_S, s] <= 1.5 * dt else 1.0 - keep
    habits[OVERLAP, s] += rate * (overlap - habits[OVERLAP, s])
    habits[HIDDEN, s] += rate * (hidden - habits[HIDDEN, s])
    if isfinite(score):
        habits[BELIEF, s] += (1.0 - keep if habits[BELIEF, s] > 0 else 1.0) * (score - habits[BELIEF, s])
        habits[LAST, s] = score
    elif told:
        # What is seen but under another's box is believed in less and less.
        habits[BELIEF, s] *= keep


# Rows of a table of seats: where a box's sides lie on its object's, in widths, and how they usually jitter.
cdef enum:
    KNOWN_S
    VARIANCE
    AT  # and the row after it: offset of the left and of the right side
    MOVED = 4  # likewise: how far they were off it on the frame before
    N_SEATS = 6

SEATS = N_SEATS


cdef double slid(
    double[:, ::1] seats, Py_ssize_t s, bint fresh, const double[:, :] box, Py_ssize_t i, const double[:, :] other,
    Py_ssize_t j, bint elsewhere, bint limbed, double dt,
):
    """Return how far a box slid on its object, in standard deviations, and take this frame in.

    Both sides must have moved the same way: a box that is cut by what hides it moves one side only.

    Args:
        seats: the table.
        s: the track's slot.
        fresh: whether this is a new pair.
        box, i: the box, a row of these.
        other, j: its object's, the same.
        elsewhere: whether it lies on another object rather than on its own.
        limbed: whether it is a person's or rider's, whose limbs swing.
        dt: since the frame before, s.
    """
    cdef double width = larger(box[i, 2] - box[i, 0], 1.0)
    # Jitter of a box's sides against its object's: share of its width, and pixels.
    cdef double jitter = hypot(0.05 if limbed else 0.04, 1.2 / width), jump, step, by, off
    cdef double[2] offset, moved
    cdef Py_ssize_t side
    if fresh:
        seats[VARIANCE, s] = (1.3 * jitter) * (1.3 * jitter)
    for side in range(2):
        offset[side] = (box[i, 2 * side] - other[j, 2 * side]) / width
        if fresh:
            seats[MOVED + side, s] = 0.0
        moved[side] = 0.0 if fresh else offset[side] - seats[AT + side, s]
    # Nothing slides far at once: the box is on another thing now, or the object is another one.
    jump = smaller(fabs(moved[0] - seats[MOVED, s]), fabs(moved[1] - seats[MOVED + 1, s]))
    fresh = fresh or jump > (0.12 if elsewhere else 0.3)
    for side in range(2):
        if fresh:
            moved[side], seats[AT + side, s] = 0.0, offset[side]
        seats[MOVED + side, s] = moved[side]
    seats[KNOWN_S, s] = 0.0 if fresh else seats[KNOWN_S, s] + dt
    by = smaller(fabs(moved[0]), fabs(moved[1])) if moved[0] * moved[1] > 0 else 0.0
    off = by / larger(sqrt(seats[VARIANCE, s]), jitter)
    # What is off does not teach where the box sits.
    step = 1.0 - exp(-dt) if off < 2.5 else 0.0
    for side in range(2):
        seats[AT + side, s] += step * moved[side]
    seats[VARIANCE, s] += step * (by * by - seats[VARIANCE, s])
    return off
