"""The sigmoid loss: each pair of rows is told true or false by itself, so a small batch serves as well."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.shapes import check_rows


@in_float32
def pairwise_sigmoid(
    a: Tensor, b: Tensor, temperature: float | Tensor = 0.1, bias: float | Tensor = -10.0, *,
    alike: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return SigLIP's loss, ``-1/n sum_ij log sigmoid(y_ij (a_i b_j / temperature + bias))``, y = 1 for i = j, else -1.

    Args:
        a: embeddings (n, d) of one modality; they are normalised here.
        b: embeddings (n, d) of the other; row i is the same subject.
        temperature: above 0; a tensor where it is learnt.
        bias: added to every similarity; it starts low, as nearly all pairs are false.
        alike: (n, n) bool, pairs of subjects that are left out as they may be the same; None if there are none.

    Raises:
        InputError: shapes differ, fewer than 2 subjects, or a temperature that is not positive.

    Source: Zhai et al. 2023 (arXiv 2303.15343), equation 1; it starts at t' = log 10 and b = -10.
    """
    check_rows((a, b), temperature)
    similarity = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature + bias
    own = torch.eye(len(a), dtype=torch.bool, device=a.device)
    terms = -F.logsigmoid(torch.where(own, similarity, -similarity))
    if alike is not None:
        terms = terms.masked_fill(alike & ~own, 0.0)
    return terms.sum() / len(a)
