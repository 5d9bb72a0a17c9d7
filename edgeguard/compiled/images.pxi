# Single passes over what was measured in pictures, and over cells of sweeps.

@cython.boundscheck(False)
def coarser(const float[:, :] near, Py_ssize_t size):
    """Return the least value of each block of size x size cells, the last ones smaller."""
    cdef Py_ssize_t rows = (near.shape[0] + size - 1) // size, columns = (near.shape[1] + size - 1) // size, i, j, b
    cdef float least
    out = np.full((rows, columns), np.inf, np.float32)
    cdef float[:, ::1] o = out
    for i in range(near.shape[0]):
        for b in range(columns):
            least = o[i // size, b]
            for j in range(b * size, min((b + 1) * size, near.shape[1])):
                least = near[i, j] if near[i, j] < least else least
            o[i // size, b] = least
    return out


@cython.boundscheck(False)
def empty_cells(const long long[:, :] count, const float[:] usual, Py_ssize_t first, double share, double least):
    """Return (R, C) uint8: 1 where a cell and its eight neighbours hold hardly a return.

    Beyond the border lies what lies at it.

    Args:
        count: (R, C) returns per cell.
        usual: (R,) returns that a cell of each row gives where rays come back.
        first: row above which no cell counts as empty.
        share: of the usual returns, up to which they are hardly any.
        least: usual returns of the nine below which nothing can be told.
    """
    cdef Py_ssize_t rows = count.shape[0], columns = count.shape[1], i, j, up, down
    empty, column = np.zeros((rows, columns), np.uint8), np.empty(columns, np.int64)
    cdef unsigned char[:, ::1] e = empty
    cdef long long[::1] c = column
    cdef double expected
    for i in range(max(first, 0), rows):
        up, down = max(i - 1, 0), min(i + 1, rows - 1)
        expected = 3.0 * (<double> usual[up] + usual[i] + usual[down])
        if expected < least:
            continue
        for j in range(columns):
            c[j] = count[up, j] + count[i, j] + count[down, j]
        for j in range(columns):
            e[i, j] = c[max(j - 1, 0)] + c[j] + c[min(j + 1, columns - 1)] <= share * expected
    return empty


@cython.boundscheck(False)
def torn_share(
    const float[:, :] near, const float[:, :] far, const long long[:, :] count, Py_ssize_t width, Py_ssize_t least,
    float ratio,
):
    """Return the share of cells whose farthest return lies more than `ratio` times as far as the nearest, in the
    worst sector of `width` columns in which at least `least` cells have two returns."""
    cdef Py_ssize_t first, i, j, told, torn
    cdef double worst = 0.0
    for first in range(0, near.shape[1], width):
        told = torn = 0
        for i in range(near.shape[0]):
            for j in range(first, min(first + width, near.shape[1])):
                if count[i, j] >= 2:
                    told += 1
                    torn += far[i, j] > ratio * near[i, j]
        if told >= least:
            worst = max(worst, <double> torn / told)
    return worst


@cython.boundscheck(False)
def changed_share(const float[:, :] now, const float[:, :] before, double ratio, Py_ssize_t least):
    """Return the share of cells whose range changed by more than `ratio`, of those known in both; NaN where
    fewer than `least` are."""
    cdef Py_ssize_t i, j, told = 0, changed = 0
    cdef double a, b
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            a, b = now[i, j], before[i, j]
            if isfinite(a) and isfinite(b):
                told += 1
                changed += a > b * ratio or b > a * ratio
    return <double> changed / told if told >= least else NAN


@cython.boundscheck(False)
def side_rims(
    const float[:, :] nearest, float reach, float ratio, Py_ssize_t across, Py_ssize_t down, Py_ssize_t step
):
    """Return (N, 2) int64 x, y of the rims between cells and their right neighbours of another range.

    Args:
        nearest: (R, C) ranges, metres; infinite where nothing is known.
        reach: range up to which the nearer of the two counts.
        ratio: of their ranges, from which they are two things.
        across, down: size of a cell, pixels.
        step: pixels per unit of the places returned.
    """
    cdef Py_ssize_t i, j, n = 0
    cdef float a, b
    at = np.empty((nearest.shape[0] * nearest.shape[1], 2), np.int64)
    cdef long long[:, ::1] o = at
    for i in range(nearest.shape[0]):
        for j in range(nearest.shape[1] - 1):
            a, b = nearest[i, j], nearest[i, j + 1]
            if a > b:
                a, b = b, a
            if a < reach and b > a * ratio and b < INFINITY:
                o[n, 0], o[n, 1] = (j + 1) * across // step, (i * down + down // 2) // step
                n += 1
    return at[:n]


@cython.boundscheck(False)
def top_rims(
    const float[:, ::1] nearest, const int[::1] cell, const float[::1] z, const float[::1] height, float least,
    float reach, float ratio, Py_ssize_t across, Py_ssize_t down, Py_ssize_t step,
):
    """Return (N, 2) int64 x, y of the rims between cells that hold a body and farther ones above them.

    Args:
        nearest, reach, ratio, across, down, step: as for `side_rims`.
        cell, z, height: (M,) flat cells of points, their ranges and heights above ground, metres.
        least: height from which the nearest point of a cell makes it a body.
    """
    cdef Py_ssize_t rows = nearest.shape[0], columns = nearest.shape[1], i, j, n = 0
    cdef const float* flat = &nearest[0, 0]
    body, at = np.zeros(rows * columns, np.uint8), np.empty((rows * columns, 2), np.int64)
    cdef unsigned char[::1] stands = body
    cdef long long[:, ::1] o = at
    cdef float near, far
    for i in range(cell.shape[0]):
        stands[cell[i]] |= (height[i] > least) & (z[i] == flat[cell[i]])
    for i in range(1, rows):
        for j in range(columns):
            near, far = nearest[i, j], nearest[i - 1, j]
            if near < reach and far > near * ratio and far < INFINITY and stands[i * columns + j]:
                o[n, 0], o[n, 1] = (j * across + across // 2) // step, i * down // step
                n += 1
    return at[:n]


@cython.boundscheck(False)
def flat_places(const long long[:, :] at, Py_ssize_t rows, Py_ssize_t columns):
    """Return the flat places, in a picture of so many rows and columns, of those of (N, 2) x, y that are in it."""
    cdef Py_ssize_t i, n = 0
    flat = np.empty(at.shape[0], np.int64)
    cdef long long[::1] o = flat
    for i in range(at.shape[0]):
        if 0 <= at[i, 0] < columns and 0 <= at[i, 1] < rows:
            o[n] = at[i, 1] * columns + at[i, 0]
            n += 1
    return flat[:n]


@cython.boundscheck(False)
cdef double _mean_at(const float[:, ::1] picture, const long long[::1] flat):
    cdef const float* p = &picture[0, 0]
    cdef Py_ssize_t i, n = flat.shape[0], size = picture.shape[0] * picture.shape[1]
    cdef double total = 0.0
    for i in range(n):
        if not 0 <= flat[i] < size:
            raise IndexError(f"place {flat[i]} of {size}")
        total += p[flat[i]]
    return total / n if n else NAN


def lag_means(pictures, places):
    """Return the means of pictures at places of other moments, for each lag.

    Args:
        pictures: K pictures (H, W) float32, the newest first.
        places: K times (N,) flat places, the newest first.

    Returns:
        (2 K - 1,): the newest picture at the oldest places, ..., at the newest, ..., the oldest picture at these.
    """
    cdef Py_ssize_t count = len(pictures), lag
    out = np.empty(2 * count - 1)
    cdef double[::1] o = out
    for lag in range(count):
        o[count - 1 - lag] = _mean_at(pictures[0], places[lag])
        o[count - 1 + lag] = _mean_at(pictures[lag], places[0])
    return out


@cython.boundscheck(False)
cdef void _sort(double* x, Py_ssize_t n):
    """Sort a few dozen numbers in place."""
    cdef Py_ssize_t i, j
    cdef double v
    for i in range(1, n):
        v = x[i]
        j = i
        while j > 0 and x[j - 1] > v:
            x[j] = x[j - 1]
            j -= 1
        x[j] = v


@cython.boundscheck(False)
cdef double _median(double* x, Py_ssize_t n):
    if n == 0:
        return NAN
    _sort(x, n)
    return (x[(n - 1) // 2] + x[n // 2]) / 2


def flow_rows(scene, double[:, ::1] boxes, double min_size, Py_ssize_t most):
    """Return the tracks in whose boxes flow is looked at, ascending, and (K, 4) where these were on the frame before.

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        boxes: (capacity, 4) of all slots' tracks on the frame before, NaN unknown; become those of this one.
        min_size: width and height of a box that tells anything, pixels.
        most: tracks looked at, the largest first.
    """
    t = scene.tracks
    cdef const Py_ssize_t[:] slot = t.slot
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden
    cdef const unsigned char[:] matched = flags(t.matched), cut = flags(scene.truncated), is_new = flags(t.is_new)
    cdef const unsigned char[:] asserted = flags(scene.asserted)
    cdef Py_ssize_t n = slot.shape[0], i, j, a, s, k = 0
    rows, last = np.empty(n, np.intp), np.empty((n, 4))
    cdef Py_ssize_t[::1] row = rows
    cdef double[:, ::1] before = last
    cdef double[::1] size = np.empty(n)
    cdef bint seen
    for i in range(n):
        s = slot[i]
        seen = matched[i] and not cut[i] and hidden[i] < 0.3
        size[i] = smaller(box[i, 2] - box[i, 0], box[i, 3] - box[i, 1])
        for a in range(4):
            before[i, a] = boxes[s, a] if seen and not is_new[i] else NAN
            boxes[s, a] = box[i, a] if seen else NAN
        if isfinite(before[i, 0]) and asserted[i] and size[i] >= min_size:
            # The largest first, the older of equal ones before the younger.
            j = k
            while j > 0 and size[row[j - 1]] < size[i]:
                row[j] = row[j - 1]
                j -= 1
            row[j] = i
            k += 1
    rows = np.sort(rows[: min(k, most)])
    return rows, last[rows]


@cython.boundscheck(False)
def flow_places(const double[:, :] boxes, const double[:, :] grid, Py_ssize_t width, Py_ssize_t height, float rim):
    """Return (K, 2) float32 points of boxes' grids in a picture of half the size, and (K,) their flat rows in N * P.

    Args:
        boxes: (N, 4) pixels of the whole image.
        grid: (P, 2) in half box sizes.
        width, height: of the picture.
        rim: pixels of it within which points are left out.
    """
    cdef Py_ssize_t n = boxes.shape[0], p = grid.shape[0], i, j, a, k = 0
    at, index = np.empty((n * p, 2), np.float32), np.empty(n * p, np.intp)
    cdef float[:, ::1] o = at
    cdef Py_ssize_t[::1] flat = index
    cdef float x, y
    cdef double[2] middle, half
    for i in range(n):
        for a in range(2):
            middle[a], half[a] = (boxes[i, a] + boxes[i, a + 2]) / 2, (boxes[i, a + 2] - boxes[i, a]) / 2
        for j in range(p):
            x = <float> ((middle[0] + half[0] * grid[j, 0]) / 2)
            y = <float> ((middle[1] + half[1] * grid[j, 1]) / 2)
            if x >= rim and y >= rim and x < width - rim and y < height - rim:
                o[k, 0], o[k, 1], flat[k] = x, y, i * p + j
                k += 1
    return at[:k], index[:k]


@cython.boundscheck(False)
def flow_found(
    const float[:, :] at, const float[:, :] then, const unsigned char[:] found, const float[:] error,
    const Py_ssize_t[:] index, Py_ssize_t n, Py_ssize_t p, float max_error,
):
    """Return (N, P, 2) flow of boxes' grids, pixels of the whole image, and (N, P) 1 where it is trusted.

    Args:
        at, then: (K, 2) points of a picture of half the size, now and before.
        found, error: (K,) whether each was found again, and how unlike itself.
        index: (K,) their flat rows in N * P.
        max_error: from which one is not trusted.
    """
    flow, good = np.zeros((n * p, 2)), np.zeros(n * p, np.uint8)
    cdef double[:, ::1] o = flow
    cdef unsigned char[::1] g = good
    cdef Py_ssize_t k, i
    for k in range(index.shape[0]):
        i = index[k]
        o[i, 0], o[i, 1] = 2 * (at[k, 0] - then[k, 0]), 2 * (at[k, 1] - then[k, 1])
        g[i] = found[k] > 0 and error[k] < max_error
    return flow.reshape(n, p, 2), good.reshape(n, p)


@cython.boundscheck(False)
def slips(
    const double[:, :] now, const double[:, :] before, const double[:, :, :] flow, const unsigned char[:, :] good,
    double share,
):
    """Return (N, 2) how much farther each box moved than the pixels in it that follow it best; NaN without any.

    Args:
        now, before: (N, 4) boxes, pixels.
        flow, good: (N, P, 2) and (N, P) flow of its points, pixels, and where it is trusted.
        share: of the points, which are taken to be the body; the rest may be what shows beside it.
    """
    cdef Py_ssize_t n = flow.shape[0], p = flow.shape[1], i, j, a, count, most
    out = np.empty((n, 2))
    cdef double[:, ::1] o = out
    cdef double[::1] x = np.empty(max(p, 1)), far = np.empty(max(p, 1))
    cdef double du, dv, reach
    cdef double[2] moved
    for i in range(n):
        for a in range(2):
            moved[a] = (now[i, a] + now[i, a + 2] - before[i, a] - before[i, a + 2]) / 2
        count = 0
        for j in range(p):
            du, dv = moved[0] - flow[i, j, 0], moved[1] - flow[i, j, 1]
            if good[i, j]:
                x[count] = du * du + dv * dv
                count += 1
            far[j] = du * du + dv * dv
        if count == 0:
            o[i, 0] = o[i, 1] = NAN
            continue
        _sort(&x[0], count)
        most = <Py_ssize_t> (share * count)
        reach = x[most if most < count else count - 1]
        for a in range(2):
            count = 0
            for j in range(p):
                if good[i, j] and far[j] <= reach:
                    x[count] = moved[a] - flow[i, j, a]
                    count += 1
            o[i, a] = _median(&x[0], count)
    return out


@cython.boundscheck(False)
cdef double _fit(const double[:, :] x, const double[:, :, :] flow, const unsigned char[:] good, Py_ssize_t i,
                 double[::1] left):
    """Fit flow = t + s·x over good points: return s, and write the squared residuals of all points."""
    cdef Py_ssize_t p = x.shape[0], j
    cdef double count = 0, xm = 0, ym = 0, um = 0, vm = 0, above = 0, below = 0, scale, du, dv
    for j in range(p):
        if good[j]:
            count += 1
            xm += x[j, 0]
            ym += x[j, 1]
            um += flow[i, j, 0]
            vm += flow[i, j, 1]
    count = count if count > 0 else 1
    xm, ym, um, vm = xm / count, ym / count, um / count, vm / count
    for j in range(p):
        if good[j]:
            above += (x[j, 0] - xm) * (flow[i, j, 0] - um) + (x[j, 1] - ym) * (flow[i, j, 1] - vm)
            below += (x[j, 0] - xm) * (x[j, 0] - xm) + (x[j, 1] - ym) * (x[j, 1] - ym)
    scale = above / (below if below > 1e-9 else 1e-9)
    for j in range(p):
        du = flow[i, j, 0] - um - scale * (x[j, 0] - xm)
        dv = flow[i, j, 1] - vm - scale * (x[j, 1] - ym)
        left[j] = du * du + dv * dv
    return scale


@cython.boundscheck(False)
def growth(
    const double[:, :] xyxy, const double[:, :, :] flow, const unsigned char[:, :] good, const double[:, :] grid,
    const unsigned char[:] inside, double outlier, Py_ssize_t least,
):
    """Fit flow = t + s·x over box and ring: (N, 3) explained and left variation, px², and growth, px.

    Growth is that of the patch's half size. Without enough ring, all are 0.

    Args:
        xyxy: (N, 4) boxes.
        flow, good: (N, P, 2) and (N, P) flow of the grid's points, pixels, and where it is trusted.
        grid, inside: (P, 2) points in half box sizes, and which are inside the box.
        outlier: squared residuals beyond this multiple of their median are points that were lost.
        least: good points outside the box that are enough.
    """
    cdef Py_ssize_t n = xyxy.shape[0], p = grid.shape[0], i, j, count, ring
    out = np.zeros((n, 3))
    cdef double[:, ::1] o = out
    cdef double[:, ::1] x = np.empty((p, 2))
    cdef double[::1] left = np.empty(p), some = np.empty(p)
    cdef unsigned char[::1] kept = np.empty(p, np.uint8)
    cdef double w, h, usual, scale, xm, ym, spread, rest
    for i in range(n):
        w, h = xyxy[i, 2] - xyxy[i, 0], xyxy[i, 3] - xyxy[i, 1]
        count = 0
        for j in range(p):
            x[j, 0], x[j, 1] = grid[j, 0] * w / 2, grid[j, 1] * h / 2
            kept[j] = good[i, j]
        _fit(x, flow, kept, i, left)
        for j in range(p):
            if kept[j]:
                some[count] = left[j]
                count += 1
        # A few points that were lost must not hide a plane; a body's surroundings are more than a few.
        usual = _median(&some[0], count)
        ring = 0
        for j in range(p):
            kept[j] = kept[j] and left[j] <= outlier * usual
            ring += kept[j] and not inside[j]
        if ring < least:
            continue
        scale = _fit(x, flow, kept, i, left)
        count = 0
        xm = ym = spread = rest = 0
        for j in range(p):
            if kept[j]:
                count += 1
                xm += x[j, 0]
                ym += x[j, 1]
                rest += left[j]
        xm, ym = xm / count, ym / count
        for j in range(p):
            if kept[j]:
                spread += (x[j, 0] - xm) * (x[j, 0] - xm) + (x[j, 1] - ym) * (x[j, 1] - ym)
        o[i, 0], o[i, 1], o[i, 2] = scale * scale * spread / count, rest / count, scale * sqrt(w * h) / 2
    return out


@cython.boundscheck(False)
def flow_surprisal(
    const double[:, :] state, const double[:, :] xyxy, double box_noise, double flow_noise, double tail,
    double plane_power, double min_growth, double min_age,
):
    """Return (5, N): how strange the flow of boxes is, nats; slip in standard deviations; share of the flow that
    one plane explains; growth, pixels; 1 where the plane is the stranger, else 0.

    Args:
        state: (N, 6) slip in x and y, px; explained and left variation, px²; growth, px; known for, s.
        xyxy: (N, 4) boxes.
        box_noise, flow_noise: of a box's place, share of its size, and of flow, pixels.
        tail: degrees of freedom of the slip's null.
        plane_power: exponent of P(1 - share or less).
        min_growth: below which a plane is not told, pixels.
        min_age: time known before anything is told, s.
    """
    cdef Py_ssize_t n = state.shape[0], i
    out = np.empty((5, n))
    cdef double[:, ::1] o = out
    cdef double slip, plane, by_slip, by_plane, total
    for i in range(n):
        slip = hypot(
            state[i, 0] / hypot(box_noise * (xyxy[i, 2] - xyxy[i, 0]), flow_noise),
            state[i, 1] / hypot(box_noise * (xyxy[i, 3] - xyxy[i, 1]), flow_noise),
        )
        by_slip = max(0.5 * tail * log1p(slip * slip / tail) - log(2.0), 0.0)
        total = state[i, 2] + state[i, 3]
        plane = state[i, 2] / (total if total > 1e-9 else 1e-9)
        by_plane = max(-plane_power * log(max(1.0 - plane, 1e-3)) - log(2.0), 0.0)
        if not fabs(state[i, 4]) >= min_growth:
            plane = by_plane = NAN
        o[0, i] = NAN if state[i, 5] < min_age else by_plane if not by_slip >= by_plane and by_plane == by_plane else by_slip
        o[1, i], o[2, i], o[3, i], o[4, i] = slip, plane, state[i, 4], by_plane > by_slip
    return out


@cython.boundscheck(False)
def remember_flow(
    double[:, ::1] state, const Py_ssize_t[:] slots, const Py_ssize_t[:] rows, const double[:, :] moved,
    const double[:, :] grown, double keep, double dt,
):
    """Add a frame's flow to the memory of the tracks in whose boxes it was seen; forget that of all others.

    Args:
        state: (capacity, 6) slip, growth and, last, time known, s; written.
        slots: (N,) of all tracks.
        rows: (K,) of these, in whose boxes flow was seen.
        moved, grown: (K, 2) and (K, 3) from `slips` and `growth`.
        keep: share of the memory that is left after the time since the frame before, `dt`, s.
    """
    cdef double[:, ::1] now = np.empty((rows.shape[0], 6))
    cdef Py_ssize_t i, a, s
    for i in range(rows.shape[0]):
        s = slots[rows[i]]
        for a in range(5):
            now[i, a] = state[s, a] * keep + (moved[i, a] if a < 2 else grown[i, a - 2])
        now[i, 5] = state[s, 5] + dt
    for i in range(slots.shape[0]):
        for a in range(6):
            state[slots[i], a] = 0.0
    for i in range(rows.shape[0]):
        for a in range(6):
            state[slots[rows[i]], a] = now[i, a]


@cython.boundscheck(False)
cpdef patch_energy(const float[:, :] cells, const double[:, :] boxes, double cell_px, double share, Py_ssize_t least):
    """Return (N,) what the strongest `share` of the cells wholly inside each box reach; NaN of fewer than `least`.

    Args:
        cells: (R, C) square cells of the image.
        boxes: (N, 4) pixels.
        cell_px: side of a cell, pixels.
    """
    cdef Py_ssize_t n = boxes.shape[0], i, a, b, count, rank, left, top, right, end
    out, inside = np.empty(n), np.empty(cells.shape[0] * cells.shape[1], np.float32)
    cdef double[::1] o = out
    cdef float[::1] v = inside
    for i in range(n):
        left, top = <Py_ssize_t> ceil(max(boxes[i, 0], 0.0) / cell_px), <Py_ssize_t> ceil(max(boxes[i, 1], 0.0) / cell_px)
        right = <Py_ssize_t> (min(max(boxes[i, 2] / cell_px, 0.0), <double> cells.shape[1]))
        end = <Py_ssize_t> (min(max(boxes[i, 3] / cell_px, 0.0), <double> cells.shape[0]))
        count = 0
        for a in range(top, end):
            for b in range(left, right):
                v[count] = cells[a, b]
                count += 1
        o[i] = NAN
        if count >= least:
            inside[:count].sort()
            rank = <Py_ssize_t> ceil(share * count)
            o[i] = v[count - 1 - min(rank, count - 1)]
    return out


cdef wide _count_from(const float* x, Py_ssize_t n, float least, int* count) noexcept:
    cdef Py_ssize_t i
    cdef int c = 0
    for i in range(n):
        c += x[i] >= least
    count[0] = c


@cython.boundscheck(False)
def patch_surprisal(
    scene, colours, Py_ssize_t cell, double cell_px, Py_ssize_t least, double most, settings
):
    """Judge how strongly hue changes inside tracks (see `edgeguard.checks.patch_saliency`).

    Args:
        scene: `edgeguard.scene.Scene` of N tracks.
        colours, cell: see `colour_cells`.
        cell_px: side of a cell in the image, pixels.
        least: cells wholly inside a box that it needs.
        most: surprisal at most, nats.
        settings: `edgeguard.checks.patch_saliency.PatchSaliencySettings`.

    Returns:
        (3, N) surprisal, nats; energy of the strongest cells; its ratio to the scene's.
    """
    t = scene.tracks
    cdef const double[:, :] box = t.xyxy
    cdef const double[:] hidden = scene.hidden
    cdef const unsigned char[:] matched = flags(t.matched), asserted = flags(scene.asserted)
    cdef double min_height = settings.min_height_px, share = settings.share, middle = 0.0
    cdef Py_ssize_t n = box.shape[0], max_tracks = settings.max_tracks, i, j, k, count, taller, chosen = 0
    rows = np.empty(n, np.intp)
    cdef Py_ssize_t[::1] row = rows
    cdef unsigned char[::1] told = np.empty(n, np.uint8)
    cdef const float[::1] usual
    cdef const double[::1] level
    cdef int reached
    table = nans((3, n))
    cdef double[:, ::1] out = table
    for i in range(n):
        told[i] = matched[i] and asserted[i] and box[i, 3] - box[i, 1] >= min_height and hidden[i] < 0.3
    for i in range(n):
        if not told[i]:
            continue
        taller = 0
        for j in range(n):
            taller += told[j] and (
                box[j, 3] - box[j, 1] > box[i, 3] - box[i, 1]
                or (box[j, 3] - box[j, 1] == box[i, 3] - box[i, 1] and j < i)
            )
        if taller < max_tracks:
            row[chosen] = i
            chosen += 1
    if chosen == 0:
        return table
    cells = colour_cells(colours, cell)
    scenery = outside(cells, t.xyxy[scene.asserted], cell_px)
    count = len(scenery)
    if count >= 100:
        scenery.partition(count // 2)
        middle = scenery[count // 2]
    if not middle >= settings.min_colour:
        return table
    usual, level = scenery, patch_energy(cells, t.xyxy[rows[:chosen]], cell_px, share, least)
    for k in range(chosen):
        if level[k] != level[k]:
            continue
        i, reached = row[k], 0
        if count:
            _count_from(&usual[0], count, <float> level[k], &reached)
        # What a share of the box reaches is by choice that much rarer than a cell picked blindly.
        out[0, i] = clamped(log(share * (count + 1) / (reached + 1.0)), 0.0, most)
        out[1, i], out[2, i] = level[k], level[k] / middle
    return table


@cython.boundscheck(False)
def alignment(const float[:, ::1] picture, const long long[:, :] at, const long long[:, :] shifts, float weak):
    """Return (K,) sums of a picture at places moved by each shift, each place's over its mean, and places.

    Args:
        picture: (H, W).
        at: (N, 2) x, y. Those that any shift moves out of the picture are left out.
        shifts: (K, 2) x, y.
        weak: added to the mean: where there is hardly anything, where there is most says nothing.
    """
    cdef Py_ssize_t n = at.shape[0], m = shifts.shape[0], i, k, told = 0
    cdef long long x, y
    sums = np.zeros(m)
    cdef double[::1] o = sums, v = np.empty(max(m, 1))
    cdef double mean
    cdef bint inside
    for i in range(n):
        inside, mean = True, 0.0
        for k in range(m):
            x, y = at[i, 0] + shifts[k, 0], at[i, 1] + shifts[k, 1]
            if x < 0 or y < 0 or x >= picture.shape[1] or y >= picture.shape[0]:
                inside = False
                break
            v[k] = picture[y, x]
            mean += v[k]
        if not inside:
            continue
        told += 1
        mean = mean / m + weak
        for k in range(m):
            o[k] += v[k] / mean
    return sums, told


@cython.boundscheck(False)
cpdef outside(const float[:, :] cells, const double[:, :] boxes, double cell_px):
    """Return the cells that no box touches, by row.

    Args:
        cells: (R, C) square cells of the image.
        boxes: (N, 4) pixels; each touches one cell at least, the nearest where it lies outside.
        cell_px: side of a cell, pixels.
    """
    cdef Py_ssize_t rows = cells.shape[0], columns = cells.shape[1], i, a, b, n = 0, left, right
    taken, free = np.zeros((rows, columns), np.uint8), np.empty(rows * columns, np.float32)
    cdef unsigned char[:, ::1] t = taken
    cdef float[::1] o = free
    for i in range(boxes.shape[0] if rows and columns else 0):
        left, right = _first_cell(boxes[i, 0] / cell_px, columns), _end_cell(boxes[i, 2] / cell_px, columns)
        for a in range(_first_cell(boxes[i, 1] / cell_px, rows), _end_cell(boxes[i, 3] / cell_px, rows)):
            for b in range(left, right):
                t[a, b] = 1
    for a in range(rows):
        for b in range(columns):
            o[n] = cells[a, b]
            n += not t[a, b]
    return free[:n]


cdef inline Py_ssize_t _first_cell(double at, Py_ssize_t count):
    return <Py_ssize_t> min(max(floor(at), 0.0), count - 1.0)


cdef inline Py_ssize_t _end_cell(double at, Py_ssize_t count):
    return <Py_ssize_t> max(min(ceil(at), <double> count), 1.0)
