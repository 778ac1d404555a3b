"""Random views sample by sample, as the data sets of the public codes make them.

A table's entries are drawn and encoded in Python, the steps of an image's view follow one another.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def corrupted(row: list[float], marginals: Sequence[Sequence[float]], rate: float) -> list[float]:
    """Return a copy of a row in which a share of the entries are draws from their columns."""
    changed = copy.deepcopy(row)
    for index in random.sample(list(range(len(changed))), int(rate * len(changed))):
        changed[index] = random.sample(marginals[index], k=1)[0]
    return changed


def one_hot(row: Sequence[float], cardinalities: Sequence[int]) -> Tensor:
    """Return numbers as they are and categories as indicators, put together field by field."""
    values, parts = torch.tensor(row), []
    for index in range(len(values)):
        if cardinalities[index] == 0:
            parts.append(values[index].unsqueeze(0))
        else:
            parts.append(F.one_hot(values[index].long(), num_classes=cardinalities[index]))
    return torch.cat(parts)


def image_view(
    image: Tensor, *, degrees: float = 45.0, smallest_area: float = 0.6, jitter: float = 0.5, flip: float = 0.5
) -> Tensor:
    """Return a random view of one image (3, H, W) in [0, 1]: flips, rotation, colour jitter, resized crop."""
    if random.random() < flip:
        image = image.flip(-1)
    if random.random() < flip:
        image = image.flip(-2)
    image = rotated(image, random.uniform(-degrees, degrees))
    for black in (lambda x: torch.zeros_like(x), lambda x: grey(x).mean(), grey):
        image = blended(image, black(image), random.uniform(1.0 - jitter, 1.0 + jitter))
    return resized_crop(image, smallest_area)


def grey(image: Tensor) -> Tensor:
    """Return the luminance (1, H, W) of an image."""
    red, green, blue = image.unbind(0)
    return (0.2989 * red + 0.587 * green + 0.114 * blue)[None]


def blended(image: Tensor, other: Tensor, ratio: float) -> Tensor:
    """Return the image moved away from another: black for brightness, mean grey for contrast, grey for saturation."""
    return (ratio * image + (1.0 - ratio) * other).clamp(0.0, 1.0)


def rotated(image: Tensor, degrees: float) -> Tensor:
    """Return the image turned about its centre, to the nearest pixel; what a channel of ones calls outside is filled.

    This is how torchvision's transforms rotate a tensor, with their defaults (nearest, fill 0).
    """
    rows, columns = image.shape[1:]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[c, -s], [s, c], [0.0, 0.0]]) / torch.tensor([0.5 * columns, 0.5 * rows])
    places = torch.ones(1, rows, columns, 3)
    places[..., 0] = torch.linspace(0.5 - 0.5 * columns, 0.5 * columns - 0.5, columns)
    places[..., 1] = torch.linspace(0.5 - 0.5 * rows, 0.5 * rows - 0.5, rows)[:, None]
    grid = torch.bmm(places.view(1, -1, 3), turn[None]).view(1, rows, columns, 2)
    marked = torch.cat([image, torch.ones(1, rows, columns)])[None]
    turned = F.grid_sample(marked, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0]
    image, outside = turned[:-1], turned[-1:].expand_as(image) < 0.5
    image[outside] = torch.zeros(1, 1, 1).expand_as(image)[outside]
    return image


def resized_crop(image: Tensor, smallest_area: float) -> Tensor:
    """Return a random crop in the size of the image."""
    rows, columns = image.shape[1:]
    area = random.uniform(smallest_area, 1.0)
    aspect = math.exp(random.uniform(-1.0, 1.0) * math.log(4 / 3) / 2)
    h, w = (min(n, round(n * math.sqrt(area) * a)) for n, a in ((rows, 1 / aspect), (columns, aspect)))
    top, left = random.randint(0, rows - h), random.randint(0, columns - w)
    crop = image[None, :, top : top + h, left : left + w]
    return F.interpolate(crop, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True)[0]
