"""Cuts a square around the heart out of an image, resizes it and scales its grey values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOW_PERCENTILE = 1.0
_HIGH_PERCENTILE = 99.0


def crop_square(
    images: NDArray[np.floating[Any]],
    pixel_spacing_mm: tuple[float, float],
    centre_mm: tuple[float, float],
    crop_mm: float,
    size_px: int,
) -> NDArray[np.float64]:
    """Return a square of the images around a point, linearly interpolated; 0 outside the image.

    Args:
        images: (..., rows, columns).
        pixel_spacing_mm: distance between rows, distance between columns.
        centre_mm: (row, column) from the centre of the first pixel.
        crop_mm: side of the square.
        size_px: rows and columns of the result; a pixel is crop_mm / size_px wide.

    Returns:
        (..., size_px, size_px) float64.
    """
    rows, columns = (
        _interpolation(images.shape[axis], spacing, centre, crop_mm, size_px)
        for axis, spacing, centre in zip((-2, -1), pixel_spacing_mm, centre_mm, strict=True)
    )
    return np.asarray(rows @ images.astype(np.float64) @ columns.T)


def _interpolation(
    length: int, spacing_mm: float, centre_mm: float, crop_mm: float, size_px: int
) -> NDArray[np.float64]:
    """Return the matrix (size_px, length) of linear weights along one axis; wide pixels average what they cover."""
    step = crop_mm / size_px / spacing_mm
    at = centre_mm / spacing_mm + (np.arange(size_px) - (size_px - 1) / 2) * step
    reach = max(1.0, step)
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(length)[None, :]) / reach) / reach
    weights[(at < -0.5) | (at > length - 0.5)] = 0.0
    return np.asarray(weights)


def scale_to_bytes(images: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return images as 0-255, their 1st and 99th percentile taken together becoming black and white.

    Args:
        images: any shape; a constant one becomes 0.
    """
    low, high = np.percentile(images, (_LOW_PERCENTILE, _HIGH_PERCENTILE))
    if high <= low:
        return np.zeros(images.shape, dtype=np.uint8)
    scaled: NDArray[np.uint8] = np.rint((images - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)
    return scaled
