"""Negatives that are left out because they may be the same, and rows that only wait to be found."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from cardiobind.objectives import (
    alike_rows,
    alike_subjects,
    gram,
    info_nce,
    pairwise_sigmoid,
    symile,
    whole_or_pairs,
)

N = 6
RANDOM = torch.Generator().manual_seed(3)
A, B, C = torch.randn(3, N, 4, dtype=torch.float64, generator=RANDOM)
ALIKE = torch.zeros(N, N, dtype=torch.bool)
ALIKE[0, 1] = ALIKE[1, 0] = ALIKE[2, 2] = True


def test_clip_without_negatives_that_are_alike_is_the_slow_one() -> None:
    u, v = (x / x.norm(dim=1, keepdim=True) for x in (A, B))
    s, total = u @ v.T / 0.1, 0.0
    for i in range(N):
        kept = [j for j in range(N) if j == i or not ALIKE[i, j]]
        total += float(torch.logsumexp(s[i, kept], 0) + torch.logsumexp(s[kept, i], 0) - 2 * s[i, i]) / 2
    assert float(info_nce(A, B, alike=ALIKE)) == pytest.approx(total / N)


def test_only_anchors_search() -> None:
    s = torch.nn.functional.normalize(A) @ torch.nn.functional.normalize(B).T / 0.1
    anchors = torch.tensor([True, False, True, False, False, False])
    expected = sum(
        float(torch.logsumexp(s[i], 0) + torch.logsumexp(s[:, i], 0) - 2 * s[i, i]) / 2 for i in range(N) if anchors[i]
    )
    assert float(info_nce(A, B, anchors=anchors)) == pytest.approx(expected / 2)
    assert float(info_nce(A, B, anchors=torch.ones(N, dtype=torch.bool))) == pytest.approx(float(info_nce(A, B)))


def test_sigmoid_without_pairs_that_are_alike() -> None:
    u, v = (x / x.norm(dim=1, keepdim=True) for x in (A, B))
    total = 0.0
    for i, j in product(range(N), repeat=2):
        if i == j or not ALIKE[i, j]:
            total += math.log1p(math.exp(-(1 if i == j else -1) * (float(u[i] @ v[j]) / 0.1 - 2.0)))
    assert float(pairwise_sigmoid(A, B, 0.1, -2.0, alike=ALIKE)) == pytest.approx(total / N)


def test_symile_leaves_out_combinations_of_subjects_alike() -> None:
    u = [x / x.norm(dim=1, keepdim=True) for x in (A, B, C)]
    same, total = ALIKE | torch.eye(N, dtype=torch.bool), 0.0
    for m, (k, o) in enumerate([(1, 2), (0, 2), (0, 1)]):
        for i in range(N):
            rows = [(j, h) for j, h in product(range(N), repeat=2) if (j, h) == (i, i) or not (same[i, j] & same[i, h])]
            logits = torch.stack([(u[m][i] * u[k][j] * u[o][h]).sum() for j, h in rows]) / 0.1
            total += float(torch.logsumexp(logits, 0) - logits[rows.index((i, i))])
    assert float(symile([A, B, C], alike=ALIKE)) == pytest.approx(total / N / 3)


@pytest.mark.parametrize("loss", [info_nce, pairwise_sigmoid])
def test_a_batch_in_which_all_are_alike_has_nothing_to_push(loss: object) -> None:
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    assert callable(loss)
    everyone = torch.ones(N, N, dtype=torch.bool)
    value = loss(a, b, alike=everyone)
    value.backward()
    assert bool(value.isfinite())
    assert a.grad is not None
    assert bool(a.grad.isfinite().all())
    if loss is info_nce:
        assert value.item() == 0.0
    assert bool(gram([A, B, C], alike=everyone).isfinite())
    assert bool(symile([A, B, C], alike=everyone, orders=torch.arange(N).expand(3, -1)).isfinite())


def test_alike_is_who_has_nearly_the_same_standardised_values() -> None:
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    rows[7] = rows[3] + 0.01
    rows = 100.0 + 1e-2 * rows
    rows[:, 5] = 4.0
    found = alike_rows(rows, 0.95)
    assert found[3, 7]
    assert torch.equal(found, found.T)
    assert int(found.sum()) == 22
    rows[3, 0] = torch.nan
    assert bool(alike_rows(rows, 0.8)[3, 7])


def test_alike_needs_a_modality_in_common_and_agreement_in_all() -> None:
    random = torch.Generator().manual_seed(1)
    ecg, table = torch.randn(8, 5, generator=random), torch.randn(8, 5, generator=random)
    ecg[1], table[1], ecg[2] = ecg[0], table[0], ecg[0]
    have = {"ecg": torch.ones(8, dtype=torch.bool), "tabular": torch.ones(8, dtype=torch.bool)}
    found = alike_subjects({"ecg": ecg, "tabular": table}, have, 0.95)
    assert found[0, 1]
    assert not found[0, 2]
    have["tabular"] = torch.arange(8) != 2
    found = alike_subjects({"ecg": ecg, "tabular": table[have["tabular"]]}, have, 0.95)
    assert found[0, 2]
    nobody = {"ecg": torch.arange(8) < 4, "tabular": torch.arange(8) >= 4}
    found = alike_subjects({"ecg": ecg[:4], "tabular": table[4:]}, nobody, 0.95)
    assert not found[:4, 4:].any()


def test_a_pair_whose_searchers_are_all_alike_is_finite() -> None:
    present = {name: torch.ones(N, dtype=torch.bool) for name in ("ecg", "cmr")}
    everyone = torch.ones(N, N, dtype=torch.bool)
    found = whole_or_pairs({"ecg": A, "cmr": B}, present, lambda z, _, s: gram(z, anchors=s, alike=everyone))
    assert found.loss.item() == pytest.approx(0.0)
