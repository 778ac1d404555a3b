"""Random views of ECGs, from torch's global generator: crop, Fourier surrogate, jitter, rescaling, fewer leads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cardiobind.errors import ConfigError
from cardiobind.modalities.ecg.preparation import LEAD_GROUPS

SMALLEST_SCALE = 0.1


def crop_samples(crop_s: float, rate_hz: float | None, samples: int, multiple: int = 1) -> int:
    """Return the length of a crop in samples.

    Args:
        crop_s: length in seconds.
        rate_hz: sampling rate.
        samples: length of the record, which the crop must not exceed.
        multiple: what it must be a multiple of (the patch of a ViT).

    Raises:
        ConfigError: it is longer than the record, empty, or not a multiple.
    """
    length = round(crop_s * (rate_hz or 0.0))
    if not 0 < length <= samples or length % multiple:
        raise ConfigError(
            "the crop does not fit the ECG", where="crop_s", got=f"{crop_s} s = {length} samples",
            expected=f"at most {samples} samples, in steps of {multiple}",
        )  # fmt: skip
    return length


def random_crop(x: Tensor, length: int) -> Tensor:
    """Cut a random stretch (B, 12, length) out of each ECG (B, 12, T)."""
    start = torch.randint(x.shape[2] - length + 1, (len(x), 1, 1), device=x.device)
    return x.gather(2, (start + torch.arange(length, device=x.device)).expand(-1, x.shape[1], -1))


def fourier_surrogate(x: Tensor, magnitude: float) -> Tensor:
    """Turn the phase of each frequency by up to `magnitude` of a turn, the same in all leads of a record.

    Args:
        x: (B, 12, T).
        magnitude: 0 to 1.

    Source: Rommel et al. 2022 (FTSurrogate with phase noise); the spectrum's magnitude is kept.
    """
    spectrum = torch.fft.rfft(x)
    turn = 2 * math.pi * magnitude * torch.rand(len(x), 1, spectrum.shape[2], device=x.device)
    turn[:, :, 0] = 0.0
    turned: Tensor = torch.fft.irfft(spectrum * torch.polar(torch.ones_like(turn), turn), n=x.shape[2])
    return turned


def jitter(x: Tensor, sd: float) -> Tensor:
    """Add white noise of that standard deviation."""
    return x + sd * torch.randn_like(x)


def rescale(x: Tensor, sd: float) -> Tensor:
    """Multiply each lead by a draw from N(1, sd), clamped above 0 so that no lead changes its polarity."""
    return x * (1.0 + sd * torch.randn(*x.shape[:2], 1, device=x.device)).clamp(min=SMALLEST_SCALE)


def absent_leads(x: Tensor) -> Tensor:
    """Return which leads (B, 12, 1) of ECGs (B, 12, T) are absent: those that are 0 throughout."""
    return (x == 0.0).all(dim=2, keepdim=True)


def drop_leads(x: Tensor, probability: float) -> Tensor:
    """Leave a record, with that probability, only a random subset of its leads, of every size alike; at least one.

    Args:
        x: ECGs (B, 12, T); a lead that is absent (0 throughout) stays so.
        probability: with which a record loses leads.

    Returns:
        (B, 12, T), the lost leads 0 and the others z-scored by group without them, as a record is prepared that never
        had them (`cardiobind.modalities.ecg.normalise_by_lead_group`).
    """
    if probability == 0.0:
        return x
    has = ~absent_leads(x)[:, :, 0]
    count = has.sum(dim=1, keepdim=True)
    rank = torch.rand(has.shape, device=x.device).masked_fill(~has, 2.0).argsort(dim=1).argsort(dim=1)
    left = 1 + (torch.rand(len(x), 1, device=x.device) * count).floor()
    chosen = torch.rand(len(x), 1, device=x.device) < probability
    return torch.where(chosen[..., None], standardise_groups(x * (rank < left)[..., None]), x)


def standardise_groups(x: Tensor) -> Tensor:
    """Return ECGs (B, 12, T) z-scored over each lead group of `normalise_by_lead_group`; an absent lead stays 0."""
    parts = []
    for group in LEAD_GROUPS:
        part = x[:, group]
        has = (~absent_leads(part)).to(x.dtype)
        count = (has.sum(dim=1, keepdim=True) * x.shape[2]).clamp(min=1.0)
        centred = has * (part - part.sum(dim=(1, 2), keepdim=True) / count)
        variance = centred.square().sum(dim=(1, 2), keepdim=True) / count
        parts.append(centred / torch.where(variance > 0.0, variance, 1.0).sqrt())
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class EcgAugmentation:
    """A random view of each ECG of a batch; an absent lead (0 throughout) stays absent.

    Attributes:
        probability: with which a record is altered at all.
        phase: of the Fourier surrogate.
        jitter_sd: of the noise, in the unit of the signal (z).
        rescale_sd: of the factor of a lead.

    Source: arXiv 2411.05900, augmentations of the ECG, with the rescaling clamped.
    """

    probability: float = 0.95
    phase: float = 0.075
    jitter_sd: float = 0.2
    rescale_sd: float = 0.5

    def __call__(self, x: Tensor) -> Tensor:
        """Return a view (B, 12, T) of ECGs (B, 12, T)."""
        if self.probability == 0.0:
            return x
        altered = rescale(jitter(fourier_surrogate(x, self.phase), self.jitter_sd), self.rescale_sd)
        altered = altered.masked_fill(absent_leads(x), 0.0)
        chosen = torch.rand(len(x), 1, 1, device=x.device) < self.probability
        return torch.where(chosen, altered, x)
