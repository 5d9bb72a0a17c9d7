# Single passes over whole pictures. Sums are kept in 16 bits wherever they fit: twice as many at a time.

@cython.boundscheck(False)
def content(const unsigned char[:, ::1] pixels, Py_ssize_t size, double flat, int dark, int bright):
    """Return how much a picture shows: the standard deviation of its blocks' means, the share of its blocks
    without texture, and the share of its pixels that are extreme.

    Args:
        pixels: (H, W) uint8.
        size: of a block, pixels; what makes up no whole one is left out.
        flat: variance below which a block has no texture.
        dark, bright: values below and above which a pixel is extreme.
    """
    cdef Py_ssize_t rows = pixels.shape[0] // size, columns = pixels.shape[1] // size, i, j, a, b
    cdef Py_ssize_t extreme = 0, without = 0
    cdef int[::1] total = np.empty(max(columns, 1), np.int32), square = np.empty(max(columns, 1), np.int32)
    cdef double[:, ::1] mean = np.empty((max(rows, 1), max(columns, 1)))
    cdef int p, t, q, dull
    cdef double n = size * size, usual = 0, spread = 0
    for a in range(rows):
        total[:], square[:] = 0, 0
        for i in range(a * size, (a + 1) * size):
            for b in range(columns):
                t = q = 0
                for j in range(b * size, (b + 1) * size):
                    p = pixels[i, j]
                    t += p
                    q += p * p
                total[b] += t
                square[b] += q
        for b in range(columns):
            mean[a, b] = total[b] / n
            usual += mean[a, b]
            without += square[b] / n - mean[a, b] * mean[a, b] < flat
    n = max(rows * columns, 1)
    usual /= n
    for a in range(rows):
        for b in range(columns):
            spread += (mean[a, b] - usual) * (mean[a, b] - usual)
    for i in range(pixels.shape[0]):
        dull = 0
        for j in range(pixels.shape[1]):
            dull += (pixels[i, j] < dark) | (pixels[i, j] > bright)
        extreme += dull
    return sqrt(spread / n), without / n, <double> extreme / max(pixels.shape[0] * pixels.shape[1], 1)


cdef int _ranked(const int* count, Py_ssize_t rank) noexcept:
    """Return the grey value of so high a rank, from 0, in a histogram of more pixels."""
    cdef int value = 0
    cdef Py_ssize_t below = count[0]
    while below <= rank:
        value += 1
        below += count[value]
    return value


@cython.boundscheck(False)
def row_ranks(const unsigned char[:, :] pixels, Py_ssize_t first, Py_ssize_t rank):
    """Return (H - first,) uint8 the value of so high a rank, from 0 for the least, of each row from `first` on.

    Args:
        pixels: (H, W) uint8, W more than `rank`.
    """
    cdef Py_ssize_t h = pixels.shape[0], w = pixels.shape[1], i, j
    cdef int[256] count
    if not (0 <= first <= h and 0 <= rank < w):
        raise ValueError(f"row_ranks: no row {first} or rank {rank} in {h} x {w} pixels")
    out = np.empty(h - first, np.uint8)
    cdef unsigned char[::1] o = out
    for i in range(first, h):
        memset(count, 0, sizeof(count))
        for j in range(w):
            count[pixels[i, j]] += 1
        o[i - first] = <unsigned char> _ranked(count, rank)
    return out


@cython.boundscheck(False)
def middle_grey(const unsigned char[:, :] pixels):
    """Return the median of (H, W) uint8 values; NaN of none."""
    cdef Py_ssize_t n = pixels.shape[0] * pixels.shape[1], i, j
    cdef int[256] count
    memset(count, 0, sizeof(count))
    for i in range(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            count[pixels[i, j]] += 1
    return (_ranked(count, (n - 1) // 2) + _ranked(count, n // 2)) / 2.0 if n else NAN


cdef wide _halved_row(const unsigned char* one, const unsigned char* two, Py_ssize_t n, short* down, short* out) noexcept:
    """Write the mean of 2 x 2 pixels at every byte of two rows of `n`, of three colours a pixel, but the last."""
    cdef Py_ssize_t k
    for k in range(n):
        down[k] = <short> (one[k] + two[k])
    for k in range(n - 3):
        out[k] = <short> (<unsigned short> (down[k] + down[k + 3] + 2) >> 2)


cdef wide _green_row(const short* halved, Py_ssize_t n, unsigned char* out) noexcept:
    """Write the green of (n,) pixels of a row from `_halved_row`."""
    cdef Py_ssize_t j
    for j in range(n):
        out[j] = <unsigned char> halved[6 * j + 1]


cdef wide _colour_row(
    const short* one, const short* two, Py_ssize_t n, short* down, short* both, short* red_green, short* blue_green
) noexcept:
    """Write R−G and B−G of the means of 2 x 2 pixels of two rows from `_halved_row`, (n,) of each."""
    cdef Py_ssize_t j, k
    for k in range(12 * n - 3):
        down[k] = <short> (one[k] + two[k])
    for k in range(12 * n - 9):
        both[k] = <short> (<unsigned short> (down[k] + down[k + 6] + 2) >> 2)
    for j in range(n):
        red_green[j] = <short> (both[12 * j + 2] - both[12 * j + 1])
        blue_green[j] = <short> (both[12 * j] - both[12 * j + 1])


@cython.boundscheck(False)
def halved(const unsigned char[:, :, :] bgr, Py_ssize_t size):
    """Return what follows from a picture averaged over 2 x 2 pixels: in one pass, as reading it costs most.

    Args:
        bgr: (H, W, 3) uint8, its rows each in one run of memory.
        size: of which the colours' rows and columns are a multiple.

    Returns:
        (H/2, W/2) uint8, its green; (2, R, C) int16, R−G and B−G of it averaged over 2 x 2 once more, R and C at
        most H/4 and W/4.
    """
    cdef Py_ssize_t h = bgr.shape[0] // 2, w = bgr.shape[1] // 2, i
    cdef Py_ssize_t rows = h // (2 * size) * size, columns = w // (2 * size) * size
    gray, colours = np.empty((h, w), np.uint8), np.empty((2, rows, columns), np.int16)
    cdef unsigned char[:, ::1] g = gray
    cdef short[:, :, ::1] c = colours
    cdef short[:, ::1] room
    if h == 0 or w == 0:
        return gray, colours
    if bgr.strides[2] != 1 or bgr.strides[1] != 3:
        raise ValueError("halved: expected rows each in one run of memory")
    room = np.empty((4, 6 * w), np.int16)
    for i in range(h):
        _halved_row(&bgr[2 * i, 0, 0], &bgr[2 * i + 1, 0, 0], 6 * w, &room[2, 0], &room[i % 2, 0])
        _green_row(&room[i % 2, 0], w, &g[i, 0])
        if i % 2 and i // 2 < rows and columns:
            _colour_row(
                &room[0, 0], &room[1, 0], columns, &room[2, 0], &room[3, 0], &c[0, i // 2, 0], &c[1, i // 2, 0]
            )
    return gray, colours


cdef inline short _size(int x) noexcept:
    return <short> (x if x >= 0 else -x)


cdef wide _laplacian(const short* above, const short* here, const short* below, short* out, Py_ssize_t w) noexcept:
    """Add the magnitude of the Laplacian of a row of at least two pixels, mirrored at its ends, to `out`."""
    cdef Py_ssize_t j
    for j in range(1, w - 1):
        out[j] = <short> (out[j] + _size(<short> (above[j] + below[j] + here[j - 1] + here[j + 1] - 4 * here[j])))
    j = w - 1
    out[0] = <short> (out[0] + _size(above[0] + below[0] + 2 * here[1] - 4 * here[0]))
    out[j] = <short> (out[j] + _size(above[j] + below[j] + 2 * here[j - 1] - 4 * here[j]))


@cython.boundscheck(False)
cpdef colour_cells(const short[:, :, ::1] colours, Py_ssize_t size):
    """Return (rows, columns) float32 mean absolute Laplacian of R−G plus that of B−G per whole cell.

    Args:
        colours: (2, H, W) int16, -255 to 255. Their border is taken to be mirrored (without repeating the rim).
        size: of a cell, pixels, 8 at most.
    """
    cdef Py_ssize_t rows = colours.shape[1] // size, columns = colours.shape[2] // size
    cdef Py_ssize_t h = rows * size, w = columns * size, i, j, k, up, down
    out = np.zeros((rows, columns), np.float32)
    cdef float[:, ::1] o = out
    cdef short[::1] line
    cdef int total
    cdef float share = 1.0 / (size * size)
    if size > 8:
        raise ValueError(f"colour_cells: expected cells of 8 pixels at most, got {size}")
    if h < 2 or w < 2:
        return out
    line = np.zeros(w, np.int16)
    for i in range(h):
        up, down = i - 1 if i > 0 else 1, i + 1 if i < h - 1 else h - 2
        for k in range(2):
            _laplacian(&colours[k, up, 0], &colours[k, i, 0], &colours[k, down, 0], &line[0], w)
        if (i + 1) % size == 0:
            for j in range(columns):
                total = 0
                for k in range(j * size, (j + 1) * size):
                    total += line[k]
                    line[k] = 0
                o[i // size, j] = total * share
    return out


cdef wide _sobel_row(
    const unsigned char* above, const unsigned char* here, const unsigned char* below, bint down, Py_ssize_t w,
    short* x, float* out, int* total,
) noexcept:
    """Write what `sobel` returns of one row; `x` is room for it and one pixel to either side."""
    cdef Py_ssize_t j
    cdef short d
    cdef int t = 0
    if down:
        for j in range(w):
            x[j + 1] = <short> (below[j] - above[j])
    else:
        for j in range(w):
            x[j + 1] = <short> (above[j] + 2 * here[j] + below[j])
    x[0], x[w + 1] = x[2], x[w - 1]
    if down:
        for j in range(w):
            d = _size(<short> (x[j] + 2 * x[j + 1] + x[j + 2]))
            out[j] = d
            t += d
    else:
        for j in range(w):
            d = _size(<short> (x[j + 2] - x[j]))
            out[j] = d
            t += d
    total[0] = t


@cython.boundscheck(False)
def sobel(const unsigned char[:, ::1] pixels, bint down):
    """Return (H, W) float32 magnitudes of the 3 x 3 Sobel derivative, and (H,) their means by row.

    Args:
        pixels: (H, W) uint8, at least 2 x 2. Its border is taken to be mirrored (without repeating the rim).
        down: along columns rather than along rows.
    """
    cdef Py_ssize_t h = pixels.shape[0], w = pixels.shape[1], i
    strength, mean = np.empty((h, w), np.float32), np.empty(h)
    cdef float[:, ::1] o = strength
    cdef double[::1] m = mean
    # A row smoothed, or taken the difference of, down the columns; with what mirrors its ends.
    cdef short[::1] line = np.empty(w + 2, np.int16)
    cdef int total
    for i in range(h):
        _sobel_row(
            &pixels[i - 1 if i > 0 else 1, 0], &pixels[i, 0], &pixels[i + 1 if i < h - 1 else h - 2, 0], down, w,
            &line[0], &o[i, 0], &total,
        )
        m[i] = <double> total / w
    return strength, mean


cdef wide _bounded(float* x, float usual, float most, Py_ssize_t n) noexcept:
    cdef Py_ssize_t j
    for j in range(n):
        x[j] = x[j] / usual
        x[j] = x[j] if x[j] < most else most


@cython.boundscheck(False)
def bounded_share(float[:, ::1] strength, const double[:] usual, float most):
    """Divide each row of a picture by what is usual in it, in place; no pixel becomes more than `most`."""
    cdef Py_ssize_t i
    for i in range(strength.shape[0]):
        _bounded(&strength[i, 0], <float> usual[i], most, strength.shape[1])
