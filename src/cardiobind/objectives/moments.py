"""The moments of one heart beat against each other: a stretch of the ECG must find the picture of its own moment."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32


@in_float32
def moment_contrast(a: Tensor, b: Tensor, there: Tensor, temperature: float | Tensor = 0.1) -> Tensor:
    """Return CLIP's loss within each subject, over the moments of the beat.

    Args:
        a: embeddings (n, K, d) of one modality at K moments; they are normalised here.
        b: embeddings (n, K, d) of the other.
        there: (n, K) bool, which moments a subject has in both; one with fewer than two has nothing to tell apart.
        temperature: above 0; a tensor where it is learnt.

    Returns:
        The mean over all moments of subjects that have two or more; 0, with zero gradients, if there are none.

    Raises:
        InputError: the shapes differ.

    Source: the local, within-patient contrast of Selivanov et al. 2025 (PTACL, arXiv 2506.20683).
    """
    if a.shape != b.shape or a.ndim != 3 or there.shape != a.shape[:2]:
        got = f"{tuple(a.shape)}, {tuple(b.shape)}, {tuple(there.shape)}"
        raise InputError("moments do not match", expected="(n, K, d) twice and (n, K)", got=got)
    there = there & (there.sum(dim=1, keepdim=True) >= 2)
    if not bool(there.any()):
        return 0.0 * (a.sum() + b.sum())
    similarity = F.normalize(a, dim=2) @ F.normalize(b, dim=2).transpose(1, 2) / temperature
    own = torch.arange(a.shape[1], device=a.device).expand(len(a), -1)[there]
    forth = similarity.masked_fill(~there[:, None], -torch.inf)[there]
    back = similarity.transpose(1, 2).masked_fill(~there[:, None], -torch.inf)[there]
    return (F.cross_entropy(forth, own) + F.cross_entropy(back, own)) / 2
