// What EdgeGuard runs on the GPU around a network: pixels to its input tensor, its raw head to candidates.
//
// Shipped as PTX (kernels.ptx), so that no compiler is needed on the vehicle. After a change:
//   python -m edgeguard.engine.backends.tensorrt.ptx
// Only plain FP32 and integer arithmetic, so that the PTX stays within the oldest ISA that has the target.

enum Encoding { BGR = 0, RGB = 1, MONO = 2, NV12 = 3, YUYV = 4 };

// ITU-R BT.601, video range, in 20-bit fixed point: the arithmetic of OpenCV's cvtColor, bit by bit.
static __device__ void yuv_to_bgr(int y, int u, int v, int *bgr) {
    const int half = 1 << 19;
    y = (y > 16 ? y - 16 : 0) * 1220542;
    u -= 128;
    v -= 128;
    bgr[0] = (y + half + 2116026 * u) >> 20;
    bgr[1] = (y + half - 852492 * v - 409993 * u) >> 20;
    bgr[2] = (y + half + 1673527 * v) >> 20;
    for (int c = 0; c < 3; ++c) bgr[c] = bgr[c] < 0 ? 0 : (bgr[c] > 255 ? 255 : bgr[c]);
}

// One pixel as BGR. NV12 keeps its chroma plane right below its luma plane, with the same pitch.
static __device__ void read_bgr(const unsigned char *image, int encoding, int pitch, int height, int x, int y,
                                int *bgr) {
    const unsigned char *row = image + (size_t)y * pitch;
    if (encoding == MONO) {
        bgr[0] = bgr[1] = bgr[2] = row[x];
    } else if (encoding == NV12) {
        const unsigned char *chroma = image + (size_t)(height + y / 2) * pitch + (x & ~1);
        yuv_to_bgr(row[x], chroma[0], chroma[1], bgr);
    } else if (encoding == YUYV) {
        const unsigned char *pair = row + (x & ~1) * 2;
        yuv_to_bgr(pair[(x & 1) * 2], pair[1], pair[3], bgr);
    } else {
        for (int c = 0; c < 3; ++c) bgr[c] = row[x * 3 + (encoding == RGB ? 2 - c : c)];
    }
}

// One column or row of the network's input: the source pixel before it, and the weights of that and the next one
// in 2048ths. A negative pixel is padding.
struct Tap { int low, weight, next_weight; };

// taps, a region after another: `out_width` for columns, then `out_height` for rows, in pixels of the image.
// of_image: per region, the image it shows. colour: gain and shift of each channel in the network's order.
// The interpolation is OpenCV's INTER_LINEAR for bytes, shift by shift.
extern "C" __global__ void preprocess(const unsigned char *images, float *tensor, const Tap *taps,
                                      const int *of_image, const float *colour, int encoding, int image_bytes,
                                      int pitch, int height, int out_width, int out_height, int network_is_rgb,
                                      int pad) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= out_width || y >= out_height) return;
    const Tap *columns = taps + (size_t)blockIdx.z * (out_width + out_height);
    const Tap h = columns[x], v = columns[out_width + y];
    int value[3] = {pad, pad, pad};
    if (h.low >= 0 && v.low >= 0) {
        const unsigned char *image = images + (size_t)of_image[blockIdx.z] * image_bytes;
        const int x1 = h.low + (h.next_weight > 0), y1 = v.low + (v.next_weight > 0);
        int a[3], b[3], c[3], d[3];
        read_bgr(image, encoding, pitch, height, h.low, v.low, a);
        read_bgr(image, encoding, pitch, height, x1, v.low, b);
        read_bgr(image, encoding, pitch, height, h.low, y1, c);
        read_bgr(image, encoding, pitch, height, x1, y1, d);
        for (int i = 0; i < 3; ++i) {
            const int top = (a[i] * h.weight + b[i] * h.next_weight) >> 4;
            const int bottom = (c[i] * h.weight + d[i] * h.next_weight) >> 4;
            value[i] = (((v.weight * top) >> 16) + ((v.next_weight * bottom) >> 16) + 2) >> 2;
        }
    }
    const int plane = out_width * out_height;
    float *out = tensor + (size_t)blockIdx.z * 3 * plane + y * out_width + x;
    for (int i = 0; i < 3; ++i)
        out[i * plane] = value[network_is_rgb ? 2 - i : i] * colour[i] - colour[3 + i];
}

// A candidate is 7 floats: corners in the input's pixels, score, class, anchor. The first `head` of an image go
// into the part that is downloaded with every frame, the rest where they can be fetched if there are so many.
static __device__ void store(float *first, float *rest, int *count, int head, int anchors, int image, int anchor,
                             float cx, float cy, float w, float h, float score, int label) {
    const int slot = atomicAdd(count + image, 1);
    float *row = slot < head ? first + ((size_t)image * head + slot) * 7
                             : rest + ((size_t)image * anchors + slot - head) * 7;
    row[0] = cx - 0.5f * w;
    row[1] = cy - 0.5f * h;
    row[2] = cx + 0.5f * w;
    row[3] = cy + 0.5f * h;
    row[4] = score;
    row[5] = (float)label;
    row[6] = (float)anchor;
}

// raw: images x anchors x (5 + classes), undecoded, strides 8, 16, 32.
extern "C" __global__ void decode_yolox(const float *raw, float *first, float *rest, int *count, int head,
                                        int anchors, int classes, int width, int height, float least) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= anchors) return;
    const float *row = raw + ((size_t)blockIdx.y * anchors + anchor) * (5 + classes);
    if (!(row[4] >= least)) return;
    int label = 0;
    for (int i = 1; i < classes; ++i)
        if (row[5 + i] > row[5 + label]) label = i;
    const float score = row[5 + label] * row[4];
    if (!(score >= least)) return;
    int stride = 8, cell = anchor;
    while (stride < 32 && cell >= (width / stride) * (height / stride)) {
        cell -= (width / stride) * (height / stride);
        stride *= 2;
    }
    const int columns = width / stride;
    store(first, rest, count, head, anchors, blockIdx.y, anchor, (row[0] + cell % columns) * stride,
          (row[1] + cell / columns) * stride, expf(row[2]) * stride, expf(row[3]) * stride, score, label);
}

// raw: images x (4 + classes) x anchors; boxes in pixels of the input after multiplying by (unit_x, unit_y).
extern "C" __global__ void decode_yolo(const float *raw, float *first, float *rest, int *count, int head,
                                       int anchors, int classes, float unit_x, float unit_y, float least) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= anchors) return;
    const float *column = raw + (size_t)blockIdx.y * (4 + classes) * anchors + anchor;
    int label = 0;
    float score = column[(size_t)4 * anchors];
    for (int i = 1; i < classes; ++i) {
        const float s = column[(size_t)(4 + i) * anchors];
        if (s > score) {
            score = s;
            label = i;
        }
    }
    if (!(score >= least)) return;
    store(first, rest, count, head, anchors, blockIdx.y, anchor, column[0] * unit_x, column[anchors] * unit_y,
          column[(size_t)2 * anchors] * unit_x, column[(size_t)3 * anchors] * unit_y, score, label);
}
