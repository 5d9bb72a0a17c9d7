"""Images as cameras deliver them, so that a GPU can take them without a detour over BGR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from edgeguard.types import U8, Image

Encoding = Literal["bgr8", "rgb8", "mono8", "nv12", "yuyv"]

_BYTES_A_PIXEL: dict[Encoding, int] = {"bgr8": 3, "rgb8": 3, "mono8": 1, "nv12": 1, "yuyv": 2}


@dataclass(frozen=True, slots=True, eq=False)
class RawImage:
    """One camera image in the camera's own encoding.

    Attributes:
        stamp_ns: header stamp.
        frame_id: optical frame.
        encoding: by ROS's names; `nv12` and `yuyv` are ITU-R BT.601, video range.
        width: pixels.
        height: pixels.
        data: (rows, pitch) uint8; `nv12` has its interleaved chroma in height / 2 further rows.
    """

    stamp_ns: int
    frame_id: str
    encoding: Encoding
    width: int
    height: int
    data: U8

    def __post_init__(self) -> None:
        rows = self.height * 3 // 2 if self.encoding == "nv12" else self.height
        pitch = self.width * _BYTES_A_PIXEL[self.encoding]
        fits = self.data.ndim == 2 and self.data.shape[0] == rows and self.data.shape[1] >= pitch
        if not fits or self.data.dtype != np.uint8:
            raise ValueError(
                f"RawImage.data: expected uint8 ({rows}, at least {pitch}) for {self.width} x {self.height} "
                f"{self.encoding}, got {self.data.dtype} {self.data.shape}"
            )
        odd_rows = self.encoding == "nv12" and self.height % 2
        if odd_rows or (self.encoding in ("nv12", "yuyv") and self.width % 2):
            raise ValueError(f"RawImage: {self.encoding} of odd size {self.width} x {self.height}")

    @classmethod
    def of(cls, image: Image) -> RawImage:
        """Return a BGR image as a raw one, without a copy where its rows are whole."""
        width, height = image.size
        rows = image.bgr.reshape(height, width * 3)
        return cls(image.stamp_ns, image.frame_id, "bgr8", width, height, rows)

    def to_bgr(self) -> U8:
        """Return (height, width, 3) BGR, converted by OpenCV."""
        used = np.ascontiguousarray(self.data[:, : self.width * _BYTES_A_PIXEL[self.encoding]])
        if self.encoding == "mono8":
            return np.asarray(cv2.cvtColor(used, cv2.COLOR_GRAY2BGR), np.uint8)
        if self.encoding == "nv12":
            return np.asarray(cv2.cvtColor(used, cv2.COLOR_YUV2BGR_NV12), np.uint8)
        pixels = used.reshape(self.height, self.width, _BYTES_A_PIXEL[self.encoding])
        if self.encoding == "bgr8":
            return pixels
        code = cv2.COLOR_RGB2BGR if self.encoding == "rgb8" else cv2.COLOR_YUV2BGR_YUYV
        return np.asarray(cv2.cvtColor(pixels, code), np.uint8)
