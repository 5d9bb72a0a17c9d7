# What the simulated world's camera and LiDAR see: single passes over the part of a picture or sweep that a thing
# lies in. The arithmetic is that of single precision, term by term.

@cython.boundscheck(False)
def paint(
    unsigned char[:, :, ::1] bgr, float[:, ::1] inverse_depth, int[:, ::1] owner, float[:, ::1] glow,
    const unsigned char[:, :, ::1] patch, const unsigned char[:, ::1] mask, Py_ssize_t x0, Py_ssize_t y0,
    float a, float b, float c, int who, float shine, unsigned char[:, ::1] cover, int solid,
):
    """Paint a patch into a picture where its plane is nearer than what is there.

    Args:
        bgr, inverse_depth, owner: (H, W, 3), (H, W) 1/m and (H, W), written to.
        glow: (H, W), written to; None where nothing glows.
        patch, mask: (h, w, 3) opaque or (h, w, 4) blended by alpha, and (h, w) share of its outline, 0 to 255.
        x0, y0: where in the picture it begins.
        a, b, c: 1/m at column x and row y is a x + b y + c.
        who, shine: the owner, and its glow.
        cover: (H, W), set to 1 where the patch is solid, seen or not; None where nobody asks.
        solid: alpha above which a pixel of a blended patch is owned by it.
    """
    cdef Py_ssize_t i, j, k, x, y, channels = patch.shape[2]
    cdef bint shines = glow is not None, covers = cover is not None, blended = channels == 4
    cdef float slack = 0.9995, row, near
    cdef int alpha
    for i in range(mask.shape[0]):
        y = y0 + i
        row = b * <float> y
        for j in range(mask.shape[1]):
            if not mask[i, j]:
                continue
            x = x0 + j
            if covers and mask[i, j] > 127 and patch[i, j, 3] > solid:
                cover[y, x] = 1
            near = (a * <float> x + c) + row
            if not near > inverse_depth[y, x] * slack:
                continue
            if blended:
                alpha = (mask[i, j] * patch[i, j, 3] + 127) // 255
                for k in range(3):
                    bgr[y, x, k] = (bgr[y, x, k] * (255 - alpha) + patch[i, j, k] * alpha + 127) // 255
                if alpha <= solid:
                    continue
            else:
                for k in range(3):
                    bgr[y, x, k] = patch[i, j, k]
            inverse_depth[y, x] = near
            owner[y, x] = who
            if shines:
                glow[y, x] = shine


@cython.boundscheck(False)
def cast(
    const float[:, :, :] rays, const float[:, :] to_box, const float[:] low, const float[:] high, float reflectivity,
    int who, float[:, :] range_m, float[:, :] intensity, int[:, :] owner,
):
    """Let rays end on a box where they meet it before what they met so far; the slab method.

    Args:
        rays: (3, M, N) directions.
        to_box: (4, 4) from the rays' frame to the box's.
        low, high: (3,) the box's corners, m.
        reflectivity, who: of the box, and whose it is.
        range_m, intensity, owner: (M, N) of what the rays met so far, written to.
    """
    cdef Py_ssize_t i, j, k, face
    cdef float way[3]
    cdef float near[3]
    cdef float under[3]
    cdef float above[3]
    cdef float enter, leave, inverse, p, q, one = 1.0, dull = 0.3, bright = 0.7
    cdef bint lost
    for k in range(3):
        under[k], above[k] = low[k] - to_box[k, 3], high[k] - to_box[k, 3]
    for i in range(range_m.shape[0]):
        for j in range(range_m.shape[1]):
            enter, leave, lost = -INFINITY, INFINITY, False
            for k in range(3):
                way[k] = to_box[k, 0] * rays[0, i, j] + to_box[k, 1] * rays[1, i, j] + to_box[k, 2] * rays[2, i, j]
                inverse = one / way[k]
                p, q = under[k] * inverse, above[k] * inverse
                # A ray that runs within a face has 0 / 0 on one side of it: it passes by.
                if p != p:
                    p = q
                elif q != q:
                    q = p
                if p != p:
                    lost = True
                    break
                if p > q:
                    p, q = q, p
                near[k] = p
                enter, leave = max(enter, p), min(leave, q)
            if lost or enter > leave or enter <= 0 or not enter < range_m[i, j]:
                continue
            if near[0] >= near[1]:
                face = 0 if near[0] >= near[2] else 2
            else:
                face = 1 if near[1] >= near[2] else 2
            range_m[i, j] = enter
            intensity[i, j] = reflectivity * (dull + bright * (way[face] if way[face] >= 0 else -way[face]))
            owner[i, j] = who
