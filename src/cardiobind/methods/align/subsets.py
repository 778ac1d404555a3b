"""Parts of a batch or of a validation set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cardiobind.methods.align.base import EVALUATED


def among(alike: Tensor | None, who: Tensor) -> Tensor | None:
    """Return the part (n, n) of who is alike (B, B) that is about n subjects `who` (B,) of the batch."""
    return None if alike is None else alike[who][:, who]


def first_subjects(
    embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return rows of those who have them, and masks, of the first `EVALUATED` subjects who have two modalities."""
    enough = torch.stack(list(present.values())).sum(dim=0) >= 2
    chosen = enough.nonzero().flatten()[:EVALUATED]
    masks = {name: mask[chosen] for name, mask in present.items() if bool(mask[chosen].any())}
    return {name: embeddings[name][chosen][mask] for name, mask in masks.items()}, masks
