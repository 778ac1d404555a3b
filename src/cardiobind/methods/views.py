"""What a network is shown of each modality: random views in training, fixed ones in evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cardiobind.data.crops import spaced_crops
from cardiobind.errors import ConfigError
from cardiobind.methods.augment_cmr import CmrAugmentation
from cardiobind.methods.augment_ecg import EcgAugmentation, crop_samples, drop_leads, random_crop
from cardiobind.modalities.spec import InputSpec


def corrupt_table(x: Tensor, probability: float) -> Tensor:
    """Replace entries by those of random subjects of the batch, column by column: draws from the column's marginal.

    A value is drawn together with its observed flag, so gaps are drawn as often as they occur. No marginals are kept,
    so none can lose a subject or carry participant data into a checkpoint.

    Args:
        x: (B, features, 2).
        probability: of replacing an entry.

    Source: Bahri et al. 2022 (SCARF).
    """
    donors = torch.randint(len(x), x.shape[:2], device=x.device)
    replaced = torch.rand(x.shape[:2], device=x.device) < probability
    own = torch.arange(len(x), device=x.device)[:, None]
    # Arithmetic on places, and one move of a value with its flag: selecting entry by entry takes three times as long.
    sources = (donors - own).mul_(replaced).add_(own)
    entries = x.contiguous().view(torch.int64)
    return entries.gather(0, sources[..., None].expand_as(entries)).view(x.dtype)


@dataclass(frozen=True)
class Views:
    """The views of all modalities.

    Attributes:
        crop_samples: length of the ECG a network sees, or None for the whole.
        ecg: augmentation, or None.
        cmr: augmentation, or None.
        corruption: probability of replacing an entry of the table.
        lead_dropout: probability with which an ECG loses a random part of its leads.
    """

    crop_samples: int | None = None
    ecg: EcgAugmentation | None = None
    cmr: CmrAugmentation | None = None
    corruption: float = 0.0
    lead_dropout: float = 0.0

    @classmethod
    def of(
        cls, inputs: Mapping[str, InputSpec], *, crop_s: float | None, probability: float, corruption: float,
        smallest_area: float = 0.6, lead_dropout: float = 0.0,
    ) -> Views:  # fmt: skip
        """Return the views of the paper.

        Args:
            inputs: of the encoders, by modality.
            crop_s: length of ECG crops in seconds, or None for the whole.
            probability: of augmenting an ECG or a CMR.
            corruption: of replacing an entry of the table.
            smallest_area: of the resized crop of a CMR.
            lead_dropout: of leaving an ECG only a random subset of its leads.

        Raises:
            ConfigError: a crop that does not fit, or a probability outside [0, 1].
        """
        rates = {"augment_probability": probability, "corruption": corruption, "lead_dropout": lead_dropout}
        for name, value in rates.items():
            if not 0.0 <= value <= 1.0:
                raise ConfigError("a probability is out of range", where=name, expected="[0, 1]", got=value)
        ecg = inputs.get("ecg")
        crop = crop_samples(crop_s, ecg.rate_hz, ecg.shape[1]) if ecg is not None and crop_s is not None else None
        return cls(
            crop, EcgAugmentation(probability), CmrAugmentation(probability, smallest_area=smallest_area), corruption,
            lead_dropout,
        )  # fmt: skip

    def random(self, modality: str, x: Tensor) -> Tensor:
        """Return a random view of a batch of one modality; an empty batch is returned as it is."""
        if len(x) == 0:
            return x
        if modality == "ecg":
            x = random_crop(x, self.crop_samples) if self.crop_samples is not None else x
            x = self.ecg(x) if self.ecg is not None else x
            return drop_leads(x, self.lead_dropout)
        if modality == "cmr":
            return self.cmr(x) if self.cmr is not None else x
        return corrupt_table(x, self.corruption) if self.corruption else x

    def fixed(self, modality: str, x: Tensor, count: int = 1) -> list[Tensor]:
        """Return the views that evaluation averages over: evenly spaced crops of an ECG, else the input itself."""
        if modality != "ecg" or self.crop_samples is None:
            return [x]
        return spaced_crops(x, self.crop_samples, count)
