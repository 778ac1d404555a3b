"""Random dilated convolutions and the part of time that they are positive: a baseline that is hard to beat."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind import rng
from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec

LENGTH = 9
PATTERNS = tuple(combinations(range(LENGTH), 3))
GOLDEN = (5**0.5 - 1) / 2


class RandomKernels(nn.Module):
    """Untrained features of an ECG for a linear classifier, after MiniRocket.

    The 84 kernels of length 9 with three weights 2 and six weights -1 are applied at exponentially spread dilations,
    each to a random subset of leads; a feature is the part of time at which the result exceeds a bias, and the biases
    are quantiles of the result on training data.

    Args:
        inputs: an ECG (12, samples).
        features: wanted number of features; `width` is the nearest one below that the kernels divide.
        dilations: how many dilations to spread between 1 sample and an eighth of the record.
        seed: of the subsets of leads and of the training records that biases come from.

    Raises:
        ConfigError: the input is no ECG of at least 9 samples, or there would be less than one feature a kernel.

    Source: Dempster et al. 2021 (MiniRocket) and its multivariate variant in sktime.
    """

    def __init__(self, inputs: InputSpec, *, features: int = 10_000, dilations: int = 12, seed: int = 0) -> None:
        super().__init__()
        if inputs.modality != "ecg" or inputs.shape[1] < LENGTH:
            got = f"{inputs.modality} {inputs.shape}"
            raise ConfigError("random kernels need an ECG of at least 9 samples", got=got)
        if dilations < 1 or features < dilations * len(PATTERNS):
            expected = f"at least {len(PATTERNS)} features a dilation"
            raise ConfigError("too few features", expected=expected, got=f"{features} features, {dilations} dilations")
        self.inputs, self.seed = inputs, seed
        self.dilations = _spread(inputs.shape[1], dilations)
        thresholds = features // (len(self.dilations) * len(PATTERNS))
        self.width = thresholds * len(self.dilations) * len(PATTERNS)
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", _kernels(inputs.shape[0], len(self.dilations), seed))
        self.register_buffer("bias", torch.full((len(self.dilations), len(PATTERNS), thresholds), torch.nan))

    def convolve(self, x: Tensor, index: int) -> Tensor:
        """Return the 84 convolutions (B, 84, T) of ECGs (B, 12, T) at the dilation of that index, zero padded."""
        dilation = self.dilations[index]
        return F.conv1d(x, self.weight[index], padding=dilation * (LENGTH // 2), dilation=dilation)

    def fit(self, x: Tensor, *, records: int = 128) -> RandomKernels:
        """Set the biases to quantiles of the convolutions of some training records.

        Args:
            x: training ECGs (n, 12, T), and no others.
            records: how many of them to draw.

        Raises:
            InputError: no record, or another shape.
        """
        self._check(x)
        if len(x) == 0:
            raise InputError("biases need at least one training record", expected="(n, 12, T)", got=tuple(x.shape))
        chosen = rng.generator(self.seed, "random kernels", "records").permutation(len(x))[:records]
        sample = x[torch.from_numpy(np.sort(chosen))].float()
        count = self.bias.shape[1] * self.bias.shape[2]
        level = ((np.arange(1, count + 1) * GOLDEN) % 1.0).reshape(self.bias.shape[1:])
        for index in range(len(self.dilations)):
            ordered = np.sort(self.convolve(sample, index).transpose(0, 1).flatten(1).cpu().numpy(), axis=1)
            places = (level * ordered.shape[1]).astype(np.int64)
            self.bias[index] = torch.from_numpy(np.take_along_axis(ordered, places, axis=1))
        return self

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, width) in [0, 1] of ECGs (B, 12, T).

        Raises:
            InputError: another shape, or `fit` has not been called.
        """
        self._check(x)
        if bool(self.bias.isnan().any()):
            raise InputError("the random kernels have no biases yet", hint="call fit with training records first")
        columns = [self._positive_part(self.convolve(x, i), self.bias[i]) for i in range(len(self.dilations))]
        return torch.cat(columns, dim=1)

    def _positive_part(self, response: Tensor, bias: Tensor) -> Tensor:
        above = torch.empty_like(response)  # reused, and float from the start: three times as fast as a bool mask
        shares = [torch.gt(response, threshold[:, None], out=above).mean(dim=2) for threshold in bias.unbind(1)]
        return torch.stack(shares, dim=2).flatten(1)

    def _check(self, x: Tensor) -> None:
        if x.ndim != 3 or tuple(x.shape[1:]) != tuple(self.inputs.shape):
            raise InputError("the batch does not fit the kernels", expected=self.inputs.shape, got=tuple(x.shape[1:]))


def _spread(samples: int, count: int) -> tuple[int, ...]:
    largest = np.log2((samples - 1) / (LENGTH - 1))
    return tuple(int(d) for d in np.unique(np.maximum(1, 2.0 ** np.linspace(0, largest, count)).astype(int)))


def _kernels(leads: int, dilations: int, seed: int) -> Tensor:
    """Return weights (dilations, 84, leads, 9): the pattern of a kernel on its leads, zero on the others."""
    random = rng.generator(seed, "random kernels", "leads")
    patterns = np.full((len(PATTERNS), LENGTH), -1.0)
    for row, positions in zip(patterns, PATTERNS, strict=True):
        row[list(positions)] = 2.0
    uses = np.zeros((dilations, len(PATTERNS), leads))
    for row in uses.reshape(-1, leads):
        size = int(2 ** random.uniform(0, np.log2(min(leads, LENGTH) + 1)))
        row[random.permutation(leads)[:size]] = 1.0
    return torch.from_numpy(uses[..., None] * patterns[None, :, None, :]).float()
