"""Everything queued for images of one layout: upload, pre-processing, network, decoding, download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.backends.tensorrt.device import Buffer, CudaError, Device, DeviceMemory
from edgeguard.engine.backends.tensorrt.execution import Execution
from edgeguard.engine.backends.tensorrt.graph import Graph
from edgeguard.engine.backends.tensorrt.taps import taps
from edgeguard.engine.decode import DECODERS, candidates
from edgeguard.engine.preprocess import Placement, gain_and_shift
from edgeguard.engine.raw import Encoding, RawImage
from edgeguard.engine.spec import LoadedSpec
from edgeguard.engine.tiles import Candidates
from edgeguard.errors import EngineError

Mark = Callable[[str], None]

ENCODINGS: tuple[Encoding, ...] = ("bgr8", "rgb8", "mono8", "nv12", "yuyv")
"""In the order of the kernel's enum."""

_HEAD = 256
"""Candidates of a region that come back with every frame; a noisier one costs a second copy."""

_ROW = 7
_BLOCK = (32, 8, 1)
_THREADS = 256


@dataclass(frozen=True)
class Layout:
    """What fixes the work of a frame: images of another layout need other buffers.

    Attributes:
        encoding, height: of each image.
        shape: rows and pitch of each image's data.
        placements: per image.
    """

    encoding: Encoding
    height: int
    shape: tuple[int, int]
    placements: tuple[tuple[Placement, ...], ...]

    @classmethod
    def of(cls, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]) -> Layout:
        """Return the layout that images of one camera model share."""
        first = images[0]
        rows, pitch = first.data.shape
        return cls(first.encoding, first.height, (rows, pitch), tuple(tuple(p) for p in placements))


class Pipeline:
    """Buffers and queue of one layout. All of it runs on the device's one stream; the context is current."""

    def __init__(self, loaded: LoadedSpec, device: Device, net: Execution, layout: Layout) -> None:
        self._loaded, self._spec, self._device, self._net = loaded, loaded.spec, device, net
        self._layout = layout
        self._regions = [p for of_image in layout.placements for p in of_image]
        self._graph: Graph | None = None
        self.graph_refused = ""
        count = len(self._regions)
        self._images = Buffer(device, (len(layout.placements), *layout.shape), np.uint8)
        self._taps = Buffer(device, (count, self._spec.input.width + self._spec.input.height, 3), np.int32)
        self._taps.host[:] = [taps(p, self._spec.input) for p in self._regions]
        self._of_image = Buffer(device, (count,), np.int32)
        self._of_image.host[:] = [i for i, of_image in enumerate(layout.placements) for _ in of_image]
        self._colour = Buffer(device, (6,), np.float32)
        self._colour.host[:] = np.concatenate(gain_and_shift(self._spec.input))
        for fixed in (self._taps, self._of_image, self._colour):
            fixed.upload()
        self._preprocess = device.kernel("preprocess", "PPPPPiiiiiiii")
        self._on_device = self._spec.decoder in ("yolox", "yolo")
        if self._on_device:
            self._prepare_decoding(count)
        else:
            self._answers = [device.cuda.pagelocked_empty((count, *o.shape), o.dtype) for o in net.outputs]
        device.stream.synchronize()

    def _prepare_decoding(self, count: int) -> None:
        raw, classes = self._net.outputs[0], len(self._loaded.labels)
        size = self._spec.input
        if self._spec.decoder == "yolox":
            self._anchors = sum((size.width // s) * (size.height // s) for s in (8, 16, 32))
            wanted: tuple[int, ...] = (self._anchors, 5 + classes)
        else:
            self._anchors = raw.shape[-1]
            wanted = (4 + classes, self._anchors)
        if len(self._net.outputs) != 1 or raw.shape != wanted or raw.dtype != np.float32:
            got = ", ".join(f"{o.name} {o.shape} {np.dtype(o.dtype)}" for o in self._net.outputs)
            raise EngineError(
                self._loaded.name,
                f"decoder {self._spec.decoder} expects one output {wanted} float32, the network gives {got}",
                "Check `decoder`, `classes` and `input` in engine.yaml against the model.",
            )
        # Counts and the first candidates in one block: one copy brings both.
        self._answer = Buffer(self._device, (count + count * _HEAD * _ROW,), np.float32)
        self._rest = DeviceMemory(self._device, 4 * count * self._anchors * _ROW)
        kind = "iiiiif" if self._spec.decoder == "yolox" else "iiifff"
        self._decode = self._device.kernel(f"decode_{self._spec.decoder}", "PPPP" + kind)

    def run(self, images: Sequence[RawImage]) -> list[list[Candidates]]:
        """Return the candidates of images of this layout; per image and region."""
        self._take(images)
        if self._graph is not None:
            self._graph.launch()
        else:
            self.enqueue()
        self._device.stream.synchronize()
        return self._collect()

    def run_timed(self, images: Sequence[RawImage]) -> tuple[list[list[Candidates]], dict[str, float]]:
        """Do the same without the graph and return milliseconds per stage."""
        cuda, stream = self._device.cuda, self._device.stream
        self._take(images)
        events = [("", cuda.Event())]
        events[0][1].record(stream)

        def mark(stage: str) -> None:
            events.append((stage, cuda.Event()))
            events[-1][1].record(stream)

        self.enqueue(mark)
        stream.synchronize()
        times: dict[str, float] = {}
        for (_, before), (stage, after) in zip(events, events[1:]):
            times[stage] = times.get(stage, 0.0) + before.time_till(after)
        return self._collect(), times

    def _take(self, images: Sequence[RawImage]) -> None:
        for slot, image in zip(self._images.host, images):
            slot[:] = image.data

    def capture(self) -> None:
        """Record the queue as a CUDA graph, once it has run; keep the reason where that cannot be."""
        try:
            self._graph = Graph(self._device.stream.handle, self.enqueue)
        except ImportError:
            self.graph_refused = "cuda-python is not installed"
        except (CudaError, RuntimeError) as e:
            self.graph_refused = str(e)

    @property
    def uses_graph(self) -> bool:
        """Whether frames run as one CUDA graph."""
        return self._graph is not None

    def enqueue(self, mark: Mark = lambda stage: None) -> None:
        """Queue a frame; `mark` is called behind each stage."""
        self._images.upload()
        mark("upload")
        if self._on_device:
            self._device.cuda.memset_d32_async(
                self._answer.device, 0, len(self._regions), self._device.stream
            )
        for start in range(0, len(self._regions), self._net.max_batch):
            count = min(self._net.max_batch, len(self._regions) - start)
            self._queue_preprocess(start, count)
            mark("preprocess")
            self._net.enqueue(count)
            mark("inference")
            self._queue_answers(start, count)
            mark("postprocess" if self._on_device else "download")
        if self._on_device:
            self._answer.download()
            mark("download")

    def _queue_preprocess(self, start: int, count: int) -> None:
        size, (rows, pitch) = self._spec.input, self._layout.shape
        grid = (-(-size.width // _BLOCK[0]), -(-size.height // _BLOCK[1]), count)
        self._preprocess.prepared_async_call(
            grid,
            _BLOCK,
            self._device.stream,
            self._images.device,
            self._net.tensor.device,
            self._taps.device + start * self._taps.host[0].nbytes,
            self._of_image.device + 4 * start,
            self._colour.device,
            ENCODINGS.index(self._layout.encoding),
            rows * pitch,
            pitch,
            self._layout.height,
            size.width,
            size.height,
            int(size.colour == "rgb"),
            size.resize.pad,
        )

    def _queue_answers(self, start: int, count: int) -> None:
        if not self._on_device:
            for host, output in zip(self._answers, self._net.outputs):
                self._device.cuda.memcpy_dtoh_async(
                    host[start : start + count], output.memory.device, self._device.stream
                )
            return
        size, n = self._spec.input, len(self._regions)
        unit = (float(size.width), float(size.height)) if self._spec.normalised_boxes else (1.0, 1.0)
        shape = (size.width, size.height) if self._spec.decoder == "yolox" else unit
        self._decode.prepared_async_call(
            (-(-self._anchors // _THREADS), count, 1),
            (_THREADS, 1, 1),
            self._device.stream,
            self._net.outputs[0].memory.device,
            self._answer.device + 4 * (n + start * _HEAD * _ROW),
            self._rest.device + 4 * start * self._anchors * _ROW,
            self._answer.device + 4 * start,
            _HEAD,
            self._anchors,
            len(self._loaded.labels),
            *shape,
            self._spec.thresholds.score,
        )

    def _collect(self) -> list[list[Candidates]]:
        found = iter(self._decoded() if self._on_device else self._decoded_on_host())
        return [[next(found) for _ in of_image] for of_image in self._layout.placements]

    def _decoded_on_host(self) -> list[Candidates]:
        names = [o.name for o in self._net.outputs]
        return DECODERS[self._spec.decoder](self._answers, names, self._spec, len(self._loaded.labels))

    def _decoded(self) -> list[Candidates]:
        n = len(self._regions)
        counts = self._answer.host[:n].view(np.int32)
        heads = self._answer.host[n:].reshape(n, _HEAD, _ROW)
        return [self._ordered(i, int(counts[i]), heads[i]) for i in range(n)]

    def _ordered(self, region: int, count: int, head: NDArray[Any]) -> Candidates:
        rows = head[: min(count, _HEAD)]
        if count > _HEAD:
            rest = np.empty((count - _HEAD, _ROW), np.float32)
            self._device.cuda.memcpy_dtoh(rest, self._rest.device + 4 * region * self._anchors * _ROW)
            rows = np.concatenate([rows, rest])
        # Threads finish in any order: sorted by anchor, the same image gives the same bytes.
        rows = rows[np.argsort(rows[:, 6], kind="stable")]
        return candidates(rows[:, :4], rows[:, 4], rows[:, 5])

    def free(self) -> None:
        """Free graph and buffers."""
        if self._graph is not None:
            self._graph.free()
        for buffer in (self._images, self._taps, self._of_image, self._colour):
            buffer.free()
        if self._on_device:
            self._answer.free()
            self._rest.free()
