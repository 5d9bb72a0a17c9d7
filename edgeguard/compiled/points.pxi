# Single passes over the points of a sweep. Where it is a toss-up whether a point counts, it is written either
# way and counted or not: a wrongly guessed branch costs more than a write.

cdef inline float magnitude(float a):
    return a if a >= 0 else -a


cdef inline Py_ssize_t cell_of(float at, Py_ssize_t count):
    """Return which of `count` cells holds a place given in cells; one of the ends where none does."""
    if not at > 0:
        return 0
    return <Py_ssize_t> at if at < count else count - 1


@cython.boundscheck(False)
def in_view(const float[:, :] xyz, const double[:, :] matrix, float left, float right):
    """Return the points, in the frame that a (4, 4) matrix leads to, whose x/z lies between two slopes.

    Args:
        xyz: (N, 3) metres.
    """
    out = np.empty((xyz.shape[0], 3), np.float32)
    cdef float[:, ::1] o = out
    cdef float[12] m
    cdef float x, z, a, b, c
    cdef Py_ssize_t i, n = 0
    for i in range(12):
        m[i] = <float> matrix[i // 4, i % 4]
    for i in range(xyz.shape[0]):
        a, b, c = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        z = m[8] * a + m[9] * b + m[10] * c + m[11]
        x = m[0] * a + m[1] * b + m[2] * c + m[3]
        if x > left * z and x < right * z:
            o[n, 0], o[n, 1], o[n, 2] = x, m[4] * a + m[5] * b + m[6] * c + m[7], z
            n += 1
    return out[:n]


@cython.boundscheck(False)
def pinhole(const float[:, :] xyz, const double[:, :] k, float cone, float width, float height):
    """Return (N, 2) pixels of points of the optical frame, and (N,) whether they are in the image.

    Args:
        xyz: (N, 3) metres.
        k: (3, 3) intrinsic matrix.
        cone: tangent of the angle off the axis up to which points are projected.
        width, height: of the image, pixels.
    """
    cdef Py_ssize_t n = xyz.shape[0], i
    uv, inside = np.zeros((n, 2), np.float32), np.zeros(n, np.uint8)
    cdef float[:, ::1] o = uv
    cdef unsigned char[::1] ok = inside
    cdef float fx = <float> k[0, 0], fy = <float> k[1, 1], cx = <float> k[0, 2], cy = <float> k[1, 2]
    cdef float inverse, u, v, z
    for i in range(n):
        z = xyz[i, 2]
        if z > <float> 0.1 and magnitude(xyz[i, 0]) < cone * z and magnitude(xyz[i, 1]) < cone * z:
            inverse = 1 / z
            u, v = fx * xyz[i, 0] * inverse + cx, fy * xyz[i, 1] * inverse + cy
            o[i, 0], o[i, 1] = u, v
            ok[i] = u >= 0 and u < width and v >= 0 and v < height
    return uv, inside.view(bool)


_room = np.empty((0, 5), np.float32)


cdef float[:, ::1] _reused(Py_ssize_t n):
    """Return n rows to work in: fresh memory of this size costs a page fault for each 4 kB, every frame."""
    global _room
    if len(_room) < n:
        _room = np.empty((n, 5), np.float32)
    return _room


@cython.boundscheck(False)
cdef tuple _sorted(const float[:, ::1] seen, Py_ssize_t n, Py_ssize_t width):
    """Return what `by_column` does of n rows x, y, z, u, v."""
    cdef Py_ssize_t i, j, c
    start = np.zeros(width + 1, np.intp)
    cdef Py_ssize_t[::1] s = start, at
    for i in range(n):
        s[cell_of(seen[i, 3], width) + 1] += 1
    for c in range(width):
        s[c + 1] += s[c]
    at = start.copy()
    points = np.empty((n, 3), np.float32)
    across, down, ahead = (np.empty(n, np.float32) for _ in range(3))
    cdef float[:, ::1] p = points
    cdef float[::1] u = across, v = down, z = ahead
    for i in range(n):
        c = cell_of(seen[i, 3], width)
        j = at[c]
        at[c] += 1
        p[j, 0], p[j, 1], p[j, 2] = seen[i, 0], seen[i, 1], seen[i, 2]
        u[j], v[j], z[j] = seen[i, 3], seen[i, 4], seen[i, 2]
    return points, across, down, ahead, start


@cython.boundscheck(False)
def by_column(const float[:, ::1] xyz, const float[:, ::1] uv, inside, float nearest, Py_ssize_t width):
    """Return the points in the image sorted by column of pixels, in their order within one.

    Args:
        xyz: (N, 3) metres, optical frame.
        uv: (N, 2) pixels.
        inside: (N,) bool: in the image.
        nearest: metres ahead up to which a point is left out.
        width: of the image, pixels.

    Returns:
        (M, 3) points, (M,) their u, v and z, (width + 1,) first point of each column.
    """
    cdef const unsigned char[:] ok = inside.view(np.uint8)
    cdef float[:, ::1] o = _reused(xyz.shape[0])
    cdef Py_ssize_t i, n = 0
    for i in range(xyz.shape[0]):
        if ok[i] and xyz[i, 2] > nearest:
            o[n, 0], o[n, 1], o[n, 2], o[n, 3], o[n, 4] = xyz[i, 0], xyz[i, 1], xyz[i, 2], uv[i, 0], uv[i, 1]
            n += 1
    return _sorted(o, n, width)


cdef enum:
    BLOCK = 128


cdef extern from *:
    """
    /* Four points x, y, z at a time, which no compiler finds by itself on x86. */
    typedef float edgeguard_four __attribute__((vector_size(16)));
    typedef int edgeguard_order __attribute__((vector_size(16)));
    #ifdef __clang__
    #define EDGEGUARD_PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
    #else
    #define EDGEGUARD_PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (edgeguard_order){i, j, k, l})
    #endif
    static void edgeguard_by_axis(const float *xyz, Py_ssize_t n, float *x, float *y, float *z) {
        Py_ssize_t i = 0;
        edgeguard_four p[3], near, far;
        for (; i + 4 <= n; i += 4) {
            memcpy(p, xyz + 3 * i, sizeof p);
            near = EDGEGUARD_PICK(p[1], p[2], 2, 2, 5, 5);
            near = EDGEGUARD_PICK(p[0], near, 0, 3, 4, 6);
            memcpy(x + i, &near, sizeof near);
            near = EDGEGUARD_PICK(p[0], p[1], 1, 1, 4, 4);
            far = EDGEGUARD_PICK(p[1], p[2], 3, 3, 6, 6);
            near = EDGEGUARD_PICK(near, far, 0, 2, 4, 6);
            memcpy(y + i, &near, sizeof near);
            near = EDGEGUARD_PICK(p[0], p[1], 2, 2, 5, 5);
            near = EDGEGUARD_PICK(near, p[2], 0, 2, 4, 7);
            memcpy(z + i, &near, sizeof near);
        }
        for (; i < n; i++) x[i] = xyz[3 * i], y[i] = xyz[3 * i + 1], z[i] = xyz[3 * i + 2];
    }
    """
    void edgeguard_by_axis(const float* xyz, Py_ssize_t n, float* x, float* y, float* z)


cdef struct Projected:
    # Of a block of points: their place in their own frame and in the optical one, their pixels, and whether those
    # count. By coordinate, so that a loop does several at once.
    float[3][BLOCK] at
    float[BLOCK] x, y, z, u, v
    int[BLOCK] seen


cdef struct Seeing:
    # The camera: rows of the matrix to the optical frame, x, y and z; focal lengths and centre, pixels; and what
    # bounds its view, see `pinhole_view`.
    float[12] m
    float fx, fy, cx, cy, left, right, cone, width, height, nearest


cdef wide _seen(const float* xyz, Py_ssize_t n, const Seeing* s, float* out, Py_ssize_t* count):
    """Write x, y, z, u, v of those of (n, 3) points that are in view, and how many they are.

    Args:
        out: room for one row of five more than there are points.
    """
    cdef Projected o
    cdef Py_ssize_t first, i, many, k = 0
    cdef int found
    cdef float inverse
    for first in range(0, n, BLOCK):
        many = min(n - first, BLOCK)
        edgeguard_by_axis(xyz + 3 * first, many, o.at[0], o.at[1], o.at[2])
        for i in range(many):
            o.x[i] = s.m[0] * o.at[0][i] + s.m[1] * o.at[1][i] + s.m[2] * o.at[2][i] + s.m[3]
            o.z[i] = s.m[8] * o.at[0][i] + s.m[9] * o.at[1][i] + s.m[10] * o.at[2][i] + s.m[11]
        # Most of a sweep lies beside and behind the camera, a long run of it at a time.
        found = 0
        for i in range(many):
            o.seen[i] = (o.x[i] > s.left * o.z[i]) & (o.x[i] < s.right * o.z[i])
            found |= o.seen[i]
        if not found:
            continue
        for i in range(many):
            o.y[i] = s.m[4] * o.at[0][i] + s.m[5] * o.at[1][i] + s.m[6] * o.at[2][i] + s.m[7]
            inverse = 1 / o.z[i]
            o.u[i], o.v[i] = s.fx * o.x[i] * inverse + s.cx, s.fy * o.y[i] * inverse + s.cy
        for i in range(many):
            o.seen[i] &= (
                (o.z[i] > s.nearest) & (fabsf(o.x[i]) < s.cone * o.z[i]) & (fabsf(o.y[i]) < s.cone * o.z[i])
                & (o.u[i] >= 0) & (o.u[i] < s.width) & (o.v[i] >= 0) & (o.v[i] < s.height)
            )
        for i in range(many):
            out[5 * k], out[5 * k + 1], out[5 * k + 2] = o.x[i], o.y[i], o.z[i]
            out[5 * k + 3], out[5 * k + 4] = o.u[i], o.v[i]
            k += o.seen[i]
    count[0] = k


@cython.boundscheck(False)
def pinhole_view(
    const float[:, ::1] xyz, const double[:, :] matrix, float left, float right, const double[:, :] k, float cone,
    float width, float height, float nearest,
):
    """Do `in_view`, `pinhole` and `by_column` at once, a block of points at a time; see these."""
    cdef Py_ssize_t i, n = 0
    cdef float[:, ::1] o = _reused(xyz.shape[0] + 1)
    cdef Seeing s
    for i in range(12):
        s.m[i] = <float> matrix[i // 4, i % 4]
    s.fx, s.fy, s.cx, s.cy = <float> k[0, 0], <float> k[1, 1], <float> k[0, 2], <float> k[1, 2]
    s.left, s.right, s.cone, s.width, s.height = left, right, cone, width, height
    s.nearest = max(nearest, <float> 0.1)
    if xyz.shape[0]:
        _seen(&xyz[0, 0], xyz.shape[0], &s, &o[0, 0], &n)
    return _sorted(o, n, <Py_ssize_t> width)


@cython.boundscheck(False)
cdef Py_ssize_t _within(
    const float[::1] u, const float[::1] v, const Py_ssize_t[::1] start, double x0, double y0, double x1, double y1,
    Py_ssize_t[::1] index,
):
    """Write the indices of the points, sorted by column, inside one box into `index`; return how many."""
    cdef Py_ssize_t n = 0, i
    for i in range(start[cell_of(x0, start.shape[0])], start[cell_of(x1 + 1, start.shape[0])]):
        index[n] = i
        n += (u[i] >= x0) & (u[i] < x1) & (v[i] >= y0) & (v[i] <= y1)
    return n


def in_box(
    const float[::1] u, const float[::1] v, const Py_ssize_t[::1] start,
    double x0, double y0, double x1, double y1,
):
    """Return indices of the points, sorted by column, inside one box."""
    index = np.empty(u.shape[0], np.intp)
    return index[: _within(u, v, start, x0, y0, x1, y1, index)]


@cython.boundscheck(False)
def on_body(cloud, const double[:] box, const double[:] center, const double[:] size, double slack, double least):
    """Return indices of the points of a cloud inside a box that lie on a body, seen from above.

    Args:
        cloud: `edgeguard.sweep.Cloud` over known ground.
        box: (4,) pixels.
        center, size: (3,) of the body, optical frame, metres.
        slack: metres by which points may lie beside it.
        least: height above ground over which points count, metres.
    """
    cdef const float[::1] u = cloud.u, v = cloud.v, height = cloud.height
    cdef const float[:, ::1] xyz = cloud.xyz
    cdef const Py_ssize_t[::1] start = cloud.start
    index = np.empty(u.shape[0], np.intp)
    cdef Py_ssize_t[::1] at = index
    cdef Py_ssize_t n = _within(u, v, start, box[0], box[1], box[2], box[3], at), k, i, count = 0
    for k in range(n):
        i = at[k]
        if (
            fabs(xyz[i, 0] - center[0]) - size[0] / 2 < slack and fabs(xyz[i, 2] - center[2]) - size[2] / 2 < slack
            and height[i] > least
        ):
            at[count] = i
            count += 1
    return index[:count]


@cython.boundscheck(False)
cpdef double nearest_body(const float[::1] z, double least, double share, double thickness, Py_ssize_t enough):
    """Return the range of the nearest body that makes up a good part of returns; NaN without one.

    Args:
        z: (N,) their ranges, ascending, metres.
        least: returns that a body needs.
        share: share of all that it needs.
        thickness: ratio of its farthest to its nearest range.
        enough: returns looked at; of more, every so manieth.
    """
    cdef Py_ssize_t step = 1 + z.shape[0] // enough, n = (z.shape[0] + step - 1) // step, i, end = 0
    cdef double need = max(least, share * n)
    for i in range(n):
        while end < n and z[end * step] <= z[i * step] * <float> thickness:
            end += 1
        if end - i >= need:
            return z[(i + (end - i) // 2) * step]
    return NAN


@cython.boundscheck(False)
cdef Py_ssize_t _first_from(const float[::1] z, float least):
    """Return the index of the first of ascending ranges that is not less than `least`."""
    cdef Py_ssize_t low = 0, high = z.shape[0], middle
    while low < high:
        middle = (low + high) // 2
        if z[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@cython.boundscheck(False)
def body_support(
    const float[::1] u, const float[::1] v, const float[::1] z, above, const Py_ssize_t[::1] start,
    const double[:, :] boxes, const double[:] expected_range, const double[:] spread, const double[:] length,
    double thickness, Py_ssize_t enough,
):
    """Return what points hold of a body in each of (N, 4) boxes.

    Args:
        u, v, z: (M,) pixels and ranges of points, sorted by column.
        above: (M,) bool: above ground; None where no ground is known: all count.
        start: first point of each column.
        expected_range: (N,) range at which the body should stand, metres; NaN where nobody knows.
        spread: (N,) of the logarithm of a range, within which the nearest body's is believed instead.
        length: (N,) of the bodies, metres.
        thickness, enough: see `nearest_body`.

    Returns:
        (5, N): returns on the body, before it, behind it; all, ground included; range of the nearest body,
        metres, NaN without one.
    """
    cdef Py_ssize_t n = boxes.shape[0], i, k, count, total, first, last
    cdef bint known = above is not None
    cdef const unsigned char[::1] up = above.view(np.uint8) if known else np.zeros(0, np.uint8)
    ranges, out = np.empty(u.shape[0], np.float32), np.zeros((5, n))
    cdef float[::1] r = ranges
    cdef double[:, ::1] o = out
    cdef Py_ssize_t[::1] index = np.empty(u.shape[0], np.intp)
    cdef double near, at
    for i in range(n):
        o[4, i] = NAN
        total = _within(u, v, start, boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3], index)
        count = 0
        for k in range(total):
            r[count] = z[index[k]]
            count += up[index[k]] if known else 1
        o[3, i] = total
        if count == 0:
            continue
        ranges[:count].sort()
        near, at = nearest_body(r[:count], 3.0, 0.3, thickness, enough), expected_range[i]
        if near == near:
            o[4, i] = near
            if not isfinite(at) or fabs(log(near / at)) <= spread[i]:
                at = near
        if isfinite(at):
            # One body: what lies about as far as its nearest face, and no further than it is long.
            first = _first_from(r[:count], <float> (at * 0.88))
            last = _first_from(r[:count], <float> (at * thickness + 0.5 * length[i]))
            o[0, i], o[1, i], o[2, i] = last - first, first, count - last
    return out


@cython.boundscheck(False)
def heights(const float[:, ::1] xyz, const double[:] plane, double tolerance, double slope):
    """Return (N,) heights above a ground plane y = a·x + b·z + c, metres, and whether each is clearly above.

    Args:
        xyz: (N, 3) optical frame.
        plane: (3,) a, b, c.
        tolerance, slope: height up to which a point is ground, metres, and its growth with range.
    """
    cdef Py_ssize_t n = xyz.shape[0], i
    height, above = np.empty(n, np.float32), np.empty(n, np.uint8)
    cdef float[::1] h = height
    cdef unsigned char[::1] up = above
    cdef float a = <float> plane[0], b = <float> plane[1], c = <float> plane[2]
    cdef float t = <float> tolerance, s = <float> slope
    for i in range(n):
        h[i] = a * xyz[i, 0] + b * xyz[i, 2] + c - xyz[i, 1]
        up[i] = h[i] > t + s * xyz[i, 2]
    return height, above.view(bool)


@cython.boundscheck(False)
def lowest(const float[:, ::1] xyz, float near, float far, Py_ssize_t side):
    """Return the lowest point (largest y) of each square metre ahead, and how many points were looked at.

    Args:
        xyz: (N, 3) optical frame, metres.
        near, far: metres ahead between which points count.
        side: metres to either side.

    Returns:
        (K, 3) float64 x and z of the middles of those that have one below the camera, and its y, by x and then z.
    """
    cdef Py_ssize_t columns = 2 * side, rows = <Py_ssize_t> far, i, a, b, k = 0, count = 0
    cdef float[:, ::1] low = np.zeros((columns, rows), np.float32)
    cdef int[::1] index = np.empty(xyz.shape[0], np.int32)
    cdef float x, y, z
    for i in range(xyz.shape[0]):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        index[count] = <int> i
        count += (z > near) & (z < far) & (fabsf(x) < side) & (y > <float> 0.3)
    for k in range(count):
        i = index[k]
        a, b, y = cell_of(xyz[i, 0] + side, columns), cell_of(xyz[i, 2], rows), xyz[i, 1]
        low[a, b] = y if y > low[a, b] else low[a, b]
    out, k = np.empty((columns * rows, 3)), 0
    cdef double[:, ::1] o = out
    for a in range(columns):
        for b in range(rows):
            o[k, 0], o[k, 1], o[k, 2] = a - side + 0.5, low[a, b], b + 0.5
            k += low[a, b] != 0
    return out[:k], count


@cython.boundscheck(False)
def tukey_plane(const double[:, :] low, const double[:] start, const double[:] scales, Py_ssize_t least):
    """Fit y = a·x + b·z + c to (N, 3) points x, y, z by reweighting (Tukey), from a plane on.

    A slight pull to level keeps the fit sane where ground is seen on one side only.

    Args:
        start: (3,) a, b, c.
        scales: residuals from which a point has no weight, metres; one fit each, in turn.
        least: points with weight that a fit needs.

    Returns:
        (3,) plane and how many points carried it; None where too few do.
    """
    plane = np.array(start, np.float64)
    cdef double[::1] p = plane
    cdef Py_ssize_t i, k, count = 0
    cdef double u, w, x, y, z, xx, xz, xn, zz, zn, nn, xy, zy, ny, det
    for k in range(scales.shape[0]):
        xx, xz, xn, zz, zn, nn, xy, zy, ny = 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        count = 0
        for i in range(low.shape[0]):
            x, y, z = low[i, 0], low[i, 1], low[i, 2]
            u = (y - (p[0] * x + p[1] * z + p[2])) / scales[k]
            if not (u < 1 and u > -1):
                continue
            w = (1 - u * u) * (1 - u * u)
            count += 1
            xx, xz, xn, zz, zn, nn = xx + w * x * x, xz + w * x * z, xn + w * x, zz + w * z * z, zn + w * z, nn + w
            xy, zy, ny = xy + w * x * y, zy + w * z * y, ny + w * y
        if count < least:
            return None
        # Cramer's rule: with the pull to level the matrix is positive definite wherever a point has weight.
        det = xx * (zz * nn - zn * zn) - xz * (xz * nn - zn * xn) + xn * (xz * zn - zz * xn)
        p[0] = (xy * (zz * nn - zn * zn) - xz * (zy * nn - zn * ny) + xn * (zy * zn - zz * ny)) / det
        p[1] = (xx * (zy * nn - ny * zn) - xy * (xz * nn - zn * xn) + xn * (xz * ny - zy * xn)) / det
        p[2] = (xx * (zz * ny - zn * zy) - xz * (xz * ny - zy * xn) + xy * (xz * zn - zz * xn)) / det
    return plane, count


@cython.boundscheck(False)
def occupy(
    const float[:, ::1] xyz, const float[::1] height, above, float max_height, float max_range, float side,
    float cell, Py_ssize_t columns, Py_ssize_t rows,
):
    """Return the (columns, rows) grid of cells seen from above that hold a point, and which points those are.

    Args:
        xyz: (N, 3) optical frame, metres.
        height: (N,) above ground, metres.
        above: (N,) bool: clearly above it.
        max_height, max_range: up to which points count, metres.
        side: metres to either side, exclusive; the grid begins 40 m to the left.
        cell: size of a cell, metres.

    Returns:
        uint8 grid; (K,) indices of the points that count, ascending; (K,) int32 flat cell of each.
    """
    cdef const unsigned char[::1] up = above.view(np.uint8)
    cdef Py_ssize_t i, j, a, b, n = 0
    grid, index = np.zeros((columns, rows), np.uint8), np.empty(xyz.shape[0], np.intp)
    cdef unsigned char[:, ::1] g = grid
    cdef Py_ssize_t[::1] k = index
    cdef float to_cells = 1 / cell
    for i in range(xyz.shape[0]):
        k[n] = i
        n += up[i] & (height[i] < max_height) & (xyz[i, 2] < max_range) & (fabsf(xyz[i, 0]) < side)
    place = np.empty(n, np.int32)
    cdef int[::1] o = place
    for j in range(n):
        i = k[j]
        a, b = cell_of((xyz[i, 0] + 40) * to_cells, columns), cell_of(xyz[i, 2] * to_cells, rows)
        g[a, b] = 1
        o[j] = <int> (a * rows + b)
    return grid, index[:n], place


cdef int _root(int* parent, int k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


cdef int _joined(int* parent, int a, int b):
    """Return the root of two labels' union; 0 is no label."""
    cdef int least, most
    if b == 0:
        return a
    b = _root(parent, b)
    if a == 0 or a == b:
        return b
    least, most = min(a, b), max(a, b)
    parent[most] = least
    return least


_labels = np.zeros((3, 0), np.int32)


@cython.boundscheck(False)
def components(const unsigned char[:, ::1] grid):
    """Label the connected cells of a sparse grid: two passes over those occupied, with union-find.

    Cells that touch, by a corner too, share a label; labels count from 1 as a scan by row meets them.
    Source: Rosenfeld & Pfaltz, Sequential Operations in Digital Picture Processing (J. ACM 1966).

    Args:
        grid: (R, C) uint8, not 0 where occupied.

    Returns:
        (R · C,) int32, which means something only where the grid is occupied, and only until the next call; and
        how many labels there are, that of nothing included.
    """
    global _labels
    cdef Py_ssize_t rows = grid.shape[0], columns = grid.shape[1], size = rows * columns, i, j, k, first, found = 0
    if _labels.shape[1] < size + 8:
        _labels = np.zeros((3, size + 8), np.int32)
    if size == 0:
        return _labels[0], 1
    cdef int[:, ::1] room = _labels
    cdef int* label = &room[0, 0]
    cdef int* parent = &room[1, 0]
    cdef int* cell = &room[2, 0]
    cdef const unsigned char* g = &grid[0, 0]
    cdef int mine, count = 0, labels = 0
    for first in range(0, size, 8):
        if first + 8 <= size and (<const unsigned long long*> (g + first))[0] == 0:
            continue
        for k in range(first, min(first + 8, size)):
            if not g[k]:
                continue
            i, j = k // columns, k % columns
            mine = 0
            if j > 0 and g[k - 1]:
                mine = _joined(parent, mine, label[k - 1])
            if i > 0:
                if j > 0 and g[k - columns - 1]:
                    mine = _joined(parent, mine, label[k - columns - 1])
                if g[k - columns]:
                    mine = _joined(parent, mine, label[k - columns])
                if j < columns - 1 and g[k - columns + 1]:
                    mine = _joined(parent, mine, label[k - columns + 1])
            if mine == 0:
                labels += 1
                mine = parent[labels] = labels
            label[k] = mine
            cell[found] = <int> k
            found += 1
    # Each label's parent is less than it, so what that became is known already.
    for mine in range(1, labels + 1):
        if parent[mine] == mine:
            count += 1
            parent[mine] = count
        else:
            parent[mine] = parent[parent[mine]]
    for i in range(found):
        label[cell[i]] = parent[label[cell[i]]]
    return _labels[0], count + 1


@cython.boundscheck(False)
def bodies(
    const float[:, ::1] xyz, const float[::1] u, const float[::1] v, const float[::1] height,
    const Py_ssize_t[::1] index, const int[::1] place, const int[::1] label, Py_ssize_t labels, Py_ssize_t least,
):
    """Return the extents of groups of points, those of fewer than `least` left out.

    Args:
        xyz, u, v, height: (N, 3) points, (N,) their pixels and heights above ground.
        index, place: (K,) points that are grouped, and the flat cell of each.
        label: group of each cell, 0 for none.
        labels: how many groups there are, that of none included.

    Returns:
        (G, 3) least and (G, 3) largest x, y, z; (G, 4) boxes in the image; (G,) least heights; (G,) points.
    """
    cdef Py_ssize_t i, j, c, k, n = 0
    count = np.zeros(labels, np.int64)
    cdef long long[::1] many = count
    for i in range(place.shape[0]):
        many[label[place[i]]] += 1
    row = np.full(labels, -1, np.int64)
    cdef long long[::1] number = row
    for k in range(1, labels):
        if many[k] >= least:
            number[k] = n
            n += 1
    # x, y, z, u, v, height: least and largest of each.
    low, high = np.full((n, 6), np.inf, np.float32), np.full((n, 6), -np.inf, np.float32)
    cdef float[:, ::1] lo = low, hi = high
    cdef float[6] at
    for i in range(place.shape[0]):
        k = number[label[place[i]]]
        if k < 0:
            continue
        j = index[i]
        at[0], at[1], at[2], at[3], at[4], at[5] = (
            xyz[j, 0], xyz[j, 1], xyz[j, 2], u[j], v[j], height[j]
        )
        for c in range(6):
            lo[k, c] = at[c] if at[c] < lo[k, c] else lo[k, c]
            hi[k, c] = at[c] if at[c] > hi[k, c] else hi[k, c]
    low, high = low.astype(np.float64), high.astype(np.float64)
    box = np.concatenate([low[:, 3:5], high[:, 3:5]], axis=1)
    return low[:, :3], high[:, :3], box, low[:, 5], count[row >= 0]


@cython.boundscheck(False)
def depth_cells(
    const float[::1] u, const float[::1] v, const float[::1] z, Py_ssize_t rows, Py_ssize_t columns,
    float across, float down,
):
    """Return what each cell of the image holds of a sweep; cells are `across` by `down` pixels.

    Args:
        u, v, z: (N,) pixels, inside the image, and ranges, metres.

    Returns:
        (rows, columns) float32 nearest range, infinite without a return; float32 farthest, 0 without one; int32
        number of returns; and (N,) int32 flat cell of each return.
    """
    near, far = np.full((rows, columns), np.inf, np.float32), np.zeros((rows, columns), np.float32)
    count, cell = np.zeros((rows, columns), np.int32), np.empty(u.shape[0], np.int32)
    cdef float[::1] lo = near.reshape(-1), hi = far.reshape(-1)
    cdef int[::1] many = count.reshape(-1), c = cell
    cdef float to_columns = 1 / across, to_rows = 1 / down
    cdef Py_ssize_t i, k
    for i in range(u.shape[0]):
        k = cell_of(v[i] * to_rows, rows) * columns + cell_of(u[i] * to_columns, columns)
        c[i] = <int> k
        many[k] += 1
        lo[k] = z[i] if z[i] < lo[k] else lo[k]
        hi[k] = z[i] if z[i] > hi[k] else hi[k]
    return near, far, count, cell


@cython.boundscheck(False)
def wider_cells(const float[:, ::1] near, const float[:, ::1] far, const int[:, ::1] count, Py_ssize_t across):
    """Return (R, C) nearest and farthest range and int64 number of returns of cells `across` times as wide.

    Args:
        near, far, count: of cells, from `depth_cells`.
    """
    cdef Py_ssize_t rows = near.shape[0], columns = (near.shape[1] + across - 1) // across, i, j, b
    nearest, farthest = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    number = np.empty((rows, columns), np.int64)
    cdef float[:, ::1] lo = nearest, hi = farthest
    cdef long long[:, ::1] c = number
    cdef float least, most
    cdef long long total
    for i in range(rows):
        for b in range(columns):
            least, most, total = INFINITY, 0, 0
            for j in range(b * across, min((b + 1) * across, near.shape[1])):
                least = near[i, j] if near[i, j] < least else least
                most = far[i, j] if far[i, j] > most else most
                total += count[i, j]
            lo[i, b], hi[i, b], c[i, b] = least, most, total
    return nearest, farthest, number


@cython.boundscheck(False)
def upper_counts(const long long[:, :] count, Py_ssize_t down, Py_ssize_t across, double quantile):
    """Return, for each band of so many rows of cells, a quantile of what its groups of so many columns hold.

    Args:
        count: (R, C) returns of cells.
        down, across: cells to a group, fewer in the last ones.
        quantile: between what two groups hold, as `np.quantile` has it.
    """
    cdef Py_ssize_t rows = (count.shape[0] + down - 1) // down, columns = (count.shape[1] + across - 1) // across
    cdef Py_ssize_t a, i, j, low
    out = np.empty(rows)
    cdef double[::1] o = out, held = np.empty(max(columns, 1))
    cdef double at = quantile * (columns - 1)
    low = max(min(<Py_ssize_t> at, columns - 2), 0)
    for a in range(rows):
        held[:] = 0
        for i in range(a * down, min((a + 1) * down, count.shape[0])):
            for j in range(count.shape[1]):
                held[j // across] += count[i, j]
        _sort(&held[0], columns)
        o[a] = held[low] + (held[min(low + 1, columns - 1)] - held[low]) * (at - low)
    return out


def hole_sizes(const int[:, :] stats, Py_ssize_t first, double cell_px, double rim, const double[:, :] k, plane):
    """Return (4, N) width, height, range and place to the side of holes in a sweep, metres, were they on the road.

    Args:
        stats: (N, 5) left, top, width, height and area of the holes, cells.
        first: row of cells that `top` counts from.
        cell_px: side of a cell, pixels.
        rim: rows below a hole that belong to it.
        k: (3, 3) intrinsic matrix.
        plane: (3,) a, b, c of the road y = a·x + b·z + c.
    """
    cdef double a = plane[0], b = plane[1], c = plane[2], x, w, h, ray, metre
    cdef Py_ssize_t n = stats.shape[0], i
    table = np.empty((4, n))
    cdef double[:, ::1] out = table
    for i in range(n):
        x, w, h = stats[i, 0], stats[i, 2], stats[i, 3]
        ray = ((stats[i, 1] + first + h + rim) * cell_px - k[1, 2]) / k[1, 1] - b
        ray -= a * ((x + w / 2) * cell_px - k[0, 2]) / k[0, 0]
        out[2, i] = c / (ray if ray > 1e-3 else 1e-3)
        metre = out[2, i] / k[0, 0] * cell_px
        out[0, i], out[1, i] = stats[i, 4] / h * metre, h * metre
        out[3, i] = (x + w / 2 - k[0, 2] / cell_px) * metre
    return table


@cython.boundscheck(False)
def near_occupied(
    const unsigned char[:, ::1] grid, const Py_ssize_t[:] column, const Py_ssize_t[:] row, Py_ssize_t reach
):
    """Return how many of (N,) places lie within so many cells, to either side and ahead, of an occupied one.

    Args:
        grid: (C, R) uint8, not 0 where occupied.
        column, row: (N,) cells of the places; those outside of the grid do not count.
    """
    cdef Py_ssize_t i, a, b, n = 0
    cdef bint held
    for i in range(column.shape[0]):
        if not (0 <= column[i] < grid.shape[0] and 0 <= row[i] < grid.shape[1]):
            continue
        held = False
        for a in range(max(column[i] - reach, 0), min(column[i] + reach + 1, grid.shape[0])):
            for b in range(max(row[i] - reach, 0), min(row[i] + reach + 1, grid.shape[1])):
                held |= grid[a, b] != 0
        n += held
    return n


@cython.boundscheck(False)
def few_returns(
    const double[:] found, const double[:] expected, const unsigned char[:] told, double shape, double enough
):
    """Return (N,) -ln P(so few returns or fewer) by a negative binomial, nats; NaN where nothing is told.

    Args:
        found, expected: (N,) returns.
        told: (N,) bool.
        shape: of the distribution: smaller is wider.
        enough: expected returns above which only a share of them is looked at.
    """
    cdef Py_ssize_t i, k, last
    out = nans(found.shape[0])
    cdef double[::1] o = out
    cdef double share, mean, missed, term, total
    for i in range(found.shape[0]):
        if not told[i]:
            continue
        share = min(1.0, enough / max(expected[i], 1.0))
        mean = max(expected[i] * share, 1e-3)
        # More than expected surprises nobody, whatever the exact number.
        last = <Py_ssize_t> min(floor(found[i] * share), ceil(mean))
        missed = mean / (shape + mean)
        term = total = 1.0
        for k in range(1, last + 1):
            term *= (k + shape - 1.0) / k * missed
            total += term
        o[i] = -log(max(total * pow(1.0 - missed, shape), 1e-12))
    return out


@cython.boundscheck(False)
def expected_returns(const double[:, :] boxes, const double[:] density, double row_px, double width):
    """Return (N,) returns expected from solid things that fill (N, 4) boxes, `density` a square pixel by row."""
    out = np.zeros(boxes.shape[0])
    cdef double[::1] o = out
    cdef Py_ssize_t i, r
    cdef double w, low, high
    for i in range(boxes.shape[0]):
        w = min(max(boxes[i, 2], 0.0), width) - min(max(boxes[i, 0], 0.0), width)
        if not w > 0:
            continue
        for r in range(density.shape[0]):
            low, high = max(boxes[i, 1], r * row_px), min(boxes[i, 3], (r + 1) * row_px)
            if high > low:
                o[i] += (high - low) * density[r]
        o[i] *= w
    return out
