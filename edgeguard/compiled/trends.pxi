# Straight lines y = level + slope·t, fitted by least squares over fading time, one row of a table each.
#
# Unlike a constant-velocity filter they assume nothing on accelerations: what a line says of a slope is what the
# last seconds measured. Times are counted back from now. A row holds the sums of weights, of t and of t², and per
# axis those of y and of t·y.
cdef enum:
    WEIGHT
    T
    TT
    Y  # and the column after it: of t·y; two more for each further axis


cdef void pass_time(double[:, ::1] lines, double dt, double memory_s):
    """Let `dt` seconds pass; what was measured `memory_s` ago counts e times less."""
    cdef double keep = exp(-dt / memory_s)
    cdef Py_ssize_t s, y
    for s in range(lines.shape[0]):
        if lines[s, WEIGHT] == 0.0:
            continue
        lines[s, TT] = (lines[s, TT] + dt * (dt * lines[s, WEIGHT] - 2.0 * lines[s, T])) * keep
        lines[s, T] = (lines[s, T] - dt * lines[s, WEIGHT]) * keep
        lines[s, WEIGHT] *= keep
        for y in range(Y, lines.shape[1], 2):
            lines[s, y + 1] = (lines[s, y + 1] - dt * lines[s, y]) * keep
            lines[s, y] *= keep


cdef void clear_line(double[:, ::1] lines, Py_ssize_t s):
    cdef Py_ssize_t column
    for column in range(lines.shape[1]):
        lines[s, column] = 0.0


cdef double mean_of(const double[:, ::1] lines, Py_ssize_t s, int axis):
    """Return the weighted mean; NaN where nothing was measured."""
    return lines[s, Y + 2 * axis] / lines[s, WEIGHT] if lines[s, WEIGHT] != 0.0 else NAN


cdef double slope_of(const double[:, ::1] lines, Py_ssize_t s, int axis):
    """Return the slope per second; NaN where nothing tells."""
    cdef double spread = lines[s, WEIGHT] * lines[s, TT] - lines[s, T] * lines[s, T]
    if not spread > 1e-9:
        return NAN
    return (lines[s, WEIGHT] * lines[s, Y + 2 * axis + 1] - lines[s, T] * lines[s, Y + 2 * axis]) / spread


cdef double slope_noise(const double[:, ::1] lines, Py_ssize_t s):
    """Return the standard deviation of a slope over that of independent measurements, 1/s."""
    if lines[s, WEIGHT] == 0.0:
        return NAN
    return 1.0 / sqrt(larger(lines[s, TT] - lines[s, T] * lines[s, T] / lines[s, WEIGHT], 1e-12))
