"""Random views of CMR frames, drawn from torch's global generator: one affine resampling, brightness and contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.data.dataset import CMR_CENTRE, CMR_SCALE
from cardiobind.modalities.cmr import ABSENT_VALUE
from cardiobind.objectives import in_float32

_BLOCK_PIXELS = 2**18


@dataclass(frozen=True)
class CmrAugmentation:
    """A random view of each subject's planes; all planes of a subject are moved alike.

    Attributes:
        probability: with which a subject is altered at all.
        rotation_degrees: largest rotation to either side.
        smallest_area: of the resized crop, as a part of the image.
        brightness: largest relative change of the intensity.
        contrast: largest relative change of the distance from the mean.

    Source: arXiv 2411.05900, augmentations of the CMR; `smallest_area` is 0.2 for SimCLR. Its saturation is left out:
    the channels are moments of the heart beat and no colours.
    """

    probability: float = 0.95
    rotation_degrees: float = 45.0
    smallest_area: float = 0.6
    brightness: float = 0.5
    contrast: float = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        """Return a view (B, planes, rows, columns) of planes of that shape; absent planes stay absent."""
        if self.probability == 0.0:
            return x
        one_each = (len(x), 1, 1, 1)
        affine = self._affine(len(x), x.device)
        brightness = 1.0 + self.brightness * _symmetric(one_each, x.device)
        contrast = 1.0 + self.contrast * _symmetric(one_each, x.device)
        chosen = torch.rand(one_each, device=x.device) < self.probability
        view = torch.empty_like(x)
        for rows in _blocks(x):
            shown, place = x[rows], view[rows]
            present = _present(shown)
            _alter(shown, present, affine[rows], brightness[rows], contrast[rows], place)
            kept = ~(chosen[rows] & present)
            if bool(kept.any()):
                torch.where(kept, shown, place, out=place)
        return view

    def _affine(self, count: int, device: torch.device) -> Tensor:
        angle = math.radians(self.rotation_degrees) * _symmetric(count, device)
        flips = torch.randint(2, (2, count), device=device) * 2.0 - 1.0
        area = self.smallest_area + (1.0 - self.smallest_area) * torch.rand(count, device=device)
        aspect = torch.exp(math.log(4 / 3) * _symmetric(count, device) / 2)
        width, height = ((area.sqrt() * a).clamp(max=1.0) for a in (aspect, 1 / aspect))
        shift_x, shift_y = ((1.0 - side) * _symmetric(count, device) for side in (width, height))
        cos, sin = angle.cos(), angle.sin()
        row_x = torch.stack([flips[0] * width * cos, -height * sin, shift_x], dim=1)
        row_y = torch.stack([width * sin, flips[1] * height * cos, shift_y], dim=1)
        return torch.stack([row_x, row_y], dim=1)


def _blocks(x: Tensor) -> list[slice]:
    """Return the subjects that are worked on at once: on a CPU as many as fit its cache, elsewhere all."""
    size = len(x) if x.device.type != "cpu" else max(1, _BLOCK_PIXELS // x[0].numel())
    return [slice(start, start + size) for start in range(0, len(x), size)]


def _present(x: Tensor) -> Tensor:
    """Return which planes (B, planes, 1, 1) a subject has: most are told by their first pixel."""
    first = x[:, :, :1, :1] != ABSENT_VALUE
    return first if bool(first.all()) else (x != ABSENT_VALUE).flatten(2).any(dim=2)[:, :, None, None]


def _alter(x: Tensor, present: Tensor, affine: Tensor, brightness: Tensor, contrast: Tensor, place: Tensor) -> None:
    # In place: memory that is asked for anew costs more than the arithmetic. The intensity is in units of the scale.
    brighter = move(x + CMR_CENTRE / CMR_SCALE, affine).mul_(brightness)
    share = present.to(brighter.dtype).mean(dim=1, keepdim=True).clamp(min=1 / present.shape[1])
    mean = brighter.mean(dim=(1, 2, 3), keepdim=True) / share
    intensity = brighter.sub_(mean).mul_(contrast).add_(mean).clamp_(0.0, 1.0 / CMR_SCALE)
    torch.sub(intensity, CMR_CENTRE / CMR_SCALE, out=place)


@in_float32
def move(intensity: Tensor, affine: Tensor) -> Tensor:
    """Resample images (B, C, H, W) through affine maps (B, 2, 3) of the unit square; outside is black."""
    grid = torch.empty(len(intensity), *intensity.shape[2:], 2, device=intensity.device)
    rows, columns = (_centres(count, intensity.device) for count in intensity.shape[2:])
    for axis in range(2):
        of_column, of_row, shift = (affine[:, axis, i, None, None] for i in range(3))
        torch.add(of_column * columns + of_row * rows[:, None], shift, out=grid[..., axis])
    return F.grid_sample(intensity, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _centres(count: int, device: torch.device) -> Tensor:
    return torch.linspace(-1.0, 1.0, count, device=device) * (count - 1) / count


def _symmetric(shape: int | tuple[int, ...], device: torch.device) -> Tensor:
    return 2.0 * torch.rand(shape, device=device) - 1.0
