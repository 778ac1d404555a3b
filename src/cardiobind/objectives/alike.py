"""Subjects so much alike that pushing them apart would teach something false."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.objectives.precision import in_float32


@in_float32
def alike_rows(rows: Tensor, above: float) -> Tensor:
    """Return (n, n) bool: whose rows (n, features), each column standardised over the batch, have a cosine above that.

    Standardised, so that what all have in common, such as the cone in which embeddings start, makes nobody alike.

    Args:
        rows: (n, features); NaN where unknown, which counts as the mean.
        above: cosine, in (0, 1).

    Source: Huynh et al. 2022 (arXiv 2011.11765): a threshold on the cosine identifies false negatives.
    """
    rows = rows.detach()
    known = ~rows.isnan()
    count = known.sum(dim=0).clamp(min=1)
    centred = torch.where(known, rows - rows.nansum(dim=0) / count, 0.0)
    sd = (centred.square().sum(dim=0) / count).sqrt()
    z = F.normalize(torch.where(sd > 1e-6, centred / sd.clamp(min=1e-6), 0.0), dim=1)
    return z @ z.T > above


def alike_subjects(rows: Mapping[str, Tensor], present: Mapping[str, Tensor], above: float) -> Tensor:
    """Return (B, B) bool: who are alike by every modality that both have, and have one in common.

    Args:
        rows: per modality (P, features) of the subjects that have it.
        present: per modality (B,) bool with P true entries.
        above: cosine, in (0, 1).
    """
    size = len(next(iter(present.values())))
    device = next(iter(present.values())).device
    common = torch.zeros(size, size, dtype=torch.bool, device=device)
    differ = common.clone()
    for name, held in rows.items():
        both = present[name][:, None] & present[name]
        same = torch.zeros_like(both)
        same[both] = alike_rows(held, above).flatten()
        common |= both
        differ |= both & ~same
    return common & ~differ
