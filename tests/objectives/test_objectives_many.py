"""Losses of more than two modalities and the sigmoid loss, against slow ones, closed forms and symmetries."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import InputError
from cardiobind.objectives import (
    anchored_volumes,
    each_pair,
    gram,
    info_nce,
    pairwise_sigmoid,
    symile,
    whole_or_pairs,
)
from cardiobind.testing import check_objective


def draw(m: int, n: int, d: int, seed: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return list(torch.randn(m, n, d, dtype=torch.float64, generator=random))


def units(z: list[torch.Tensor]) -> list[np.ndarray]:
    return [x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True) for x in z]


def nll(own: float, negatives: list[float]) -> float:
    return -own + math.log(math.exp(own) + sum(math.exp(x) for x in negatives))


def slow_symile(z: list[torch.Tensor], t: float, orders: np.ndarray | None) -> float:
    u, n, total = units(z), len(z[0]), 0.0
    for m in range(len(u)):
        rest = [k for k in range(len(u)) if k != m]
        for i in range(n):
            own = sum(math.prod(u[k][i][c] for k in range(len(u))) for c in range(u[0].shape[1])) / t
            if orders is None:
                others = [rows for rows in product(range(n), repeat=len(rest)) if rows != (i,) * len(rest)]
            else:
                others = [tuple(orders[k][j] for k in rest) for j in range(n) if j != i]
            negatives = []
            for rows in (rows for rows in others if rows != (i,) * len(rest)):
                mip = u[m][i].copy()
                for k, row in zip(rest, rows, strict=True):
                    mip = mip * u[k][row]
                negatives.append(float(mip.sum()) / t)
            total += nll(own, negatives)
    return total / n / len(u)


@settings(max_examples=20, deadline=None)
@given(m=st.integers(2, 4), n=st.integers(2, 4), d=st.integers(1, 5), shuffled=st.booleans())
def test_symile_is_the_slow_one(m: int, n: int, d: int, shuffled: bool) -> None:
    z = draw(m, n, d, m + 10 * n)
    random = torch.Generator().manual_seed(d)
    orders = torch.stack([torch.randperm(n, generator=random) for _ in range(m)]) if shuffled else None
    expected = slow_symile(z, 0.3, None if orders is None else orders.numpy())
    assert float(symile(z, 0.3, orders=orders)) == pytest.approx(expected, rel=1e-9)


def test_shuffles_that_meet_make_no_negative_of_the_subject_itself() -> None:
    """Both others shuffled alike: each row meets its own pair in another place, which leaves n - 2 negatives."""
    same, n, t = torch.ones(4, 6, dtype=torch.float64) / math.sqrt(6), 4, 0.2
    moved = torch.tensor([1, 2, 3, 0]).expand(3, -1)
    assert float(symile([same] * 3, t, orders=moved)) == pytest.approx(math.log(n - 1))
    z = draw(3, n, 6, 5)
    nobody = torch.zeros(n, n, dtype=torch.bool)
    for orders in (None, moved):
        assert float(symile(z, t, orders=orders)) == float(symile(z, t, orders=orders, alike=nobody))
    stranger = [z[0], z[1], z[2][[0, 0, 0, 0]]]
    own_with_strangers = slow_symile(stranger, t, None)  # b of the subject beside c of another is one
    assert float(symile(stranger, t)) == pytest.approx(own_with_strangers, rel=1e-9)


def test_symile_of_two_modalities_is_clip() -> None:
    z = draw(2, 6, 4, 0)
    assert float(symile(z, 0.2)) == pytest.approx(float(info_nce(*z, 0.2)))
    unmoved = torch.arange(6).expand(2, -1)
    assert float(symile(z, 0.2, orders=unmoved)) == pytest.approx(float(info_nce(*z, 0.2)))


def test_symile_has_closed_forms() -> None:
    n, t = 5, 0.4
    same = torch.ones(n, 3, dtype=torch.float64)
    assert float(symile([same] * 3, t)) == pytest.approx(math.log(n * n))
    assert float(symile([same] * 3, t, orders=torch.arange(n).expand(3, -1))) == pytest.approx(math.log(n))
    eye = torch.eye(n, dtype=torch.float64)
    assert float(symile([eye] * 3, t)) == pytest.approx(math.log(math.exp(1 / t) + n * n - 1) - 1 / t)


def test_symile_sees_what_no_two_modalities_show() -> None:
    """Signs whose product is 1: any two of three are independent, so no pair can tell a subject."""
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    x, y = signs[:, :1], signs[:, 1:]
    z = x * y
    assert float(symile([x, y, z], 0.1)) < math.log(16) - 0.5
    for a, b in ((x, y), (x, z), (y, z)):
        assert float(a.flatten() @ b.flatten()) == 0.0


def slow_volume(vectors: list[np.ndarray]) -> float:
    a = np.stack(vectors)
    return math.sqrt(max(np.linalg.det(a @ a.T), 0.0) + 1e-6)


@settings(max_examples=20, deadline=None)
@given(m=st.integers(2, 4), n=st.integers(2, 5), d=st.integers(4, 6))
def test_gram_is_the_slow_one(m: int, n: int, d: int) -> None:
    z, t = draw(m, n, d, m + 10 * n), 0.3
    u, total = units(z), 0.0
    for k in range(m):
        rest = [x for i, x in enumerate(u) if i != k]
        v = [[slow_volume([u[k][i], *[x[j] for x in rest]]) for j in range(n)] for i in range(n)]
        for i in range(n):
            row, column = [-v[i][j] / t for j in range(n)], [-v[j][i] / t for j in range(n)]
            total += (nll(row[i], row[:i] + row[i + 1 :]) + nll(column[i], column[:i] + column[i + 1 :])) / 2
    assert float(gram(z, t)) == pytest.approx(total / n / m, rel=1e-7)


def test_volumes_have_closed_forms() -> None:
    axes = [torch.eye(3, dtype=torch.float64)[[k]] for k in range(3)]
    assert float(anchored_volumes(axes[0], axes[1:])) == pytest.approx(1.0, abs=1e-6)
    assert float(anchored_volumes(axes[0], [axes[0], axes[1]])) == pytest.approx(1e-3)
    angle = 0.7
    slanted = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]], dtype=torch.float64)
    assert float(anchored_volumes(axes[0], [slanted])) == pytest.approx(math.sin(angle), abs=1e-6)
    assert float(anchored_volumes(axes[0], [slanted, axes[2]])) == pytest.approx(math.sin(angle), abs=1e-6)


@pytest.mark.parametrize("distance", [0.0, 1e-8, 1e-4, 1e-2])
def test_gram_has_safe_gradients_for_nearly_collinear_embeddings(distance: float) -> None:
    torch.manual_seed(0)
    base = torch.randn(6, 1, 8).expand(-1, 3, -1) + distance * torch.randn(6, 3, 8)
    z = [base[:, k].clone().requires_grad_() for k in range(3)]
    loss = gram(z, 0.07)
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(x.grad.isfinite().all()) and float(x.grad.abs().max()) < 1e3 for x in z if x.grad is not None)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 6), d=st.integers(1, 5), bias=st.floats(-10, 1))
def test_sigmoid_is_the_slow_one(n: int, d: int, bias: float) -> None:
    a, b = draw(2, n, d, n)
    u, v = units([a, b])
    total = 0.0
    for i, j in product(range(n), repeat=2):
        logit = (1 if i == j else -1) * (float(u[i] @ v[j]) / 0.2 + bias)
        total += math.log(1 + math.exp(-logit))
    assert float(pairwise_sigmoid(a, b, 0.2, bias)) == pytest.approx(total / n, rel=1e-9)


def test_sigmoid_has_closed_forms() -> None:
    def softplus(x: float) -> float:
        return math.log1p(math.exp(x))

    same, eye, n = torch.ones(5, 3, dtype=torch.float64), torch.eye(5, dtype=torch.float64), 5
    assert float(pairwise_sigmoid(same, same, 0.1, -10.0)) == pytest.approx(n * softplus(0.0))
    assert float(pairwise_sigmoid(eye, eye, 0.1, -10.0)) == pytest.approx(softplus(0.0) + (n - 1) * softplus(-10.0))


def three(loss: object) -> object:
    """Return a loss of two made one of three, the third a mixture, for the check of plug-ins."""
    return lambda a, b: loss([a, b, a + 2 * b])  # type: ignore[operator]


ORDERS = torch.stack([torch.arange(6), torch.arange(6).roll(1), torch.arange(6).roll(2)])


@pytest.mark.parametrize(
    "objective",
    [
        partial(pairwise_sigmoid, bias=-1.0),
        three(partial(gram, temperature=0.5)),
        three(partial(symile, temperature=0.5)),
    ],
)
def test_the_losses_keep_the_contract(objective: object) -> None:
    assert callable(objective)
    check_objective(objective)


@pytest.mark.parametrize("loss", [gram, symile, partial(symile, orders=ORDERS)])
def test_the_order_of_modalities_and_their_length_do_not_matter(loss: object) -> None:
    assert callable(loss)
    x, y, z = draw(3, 6, 5, 2)
    assert float(loss([3 * x, 0.5 * y, z])) == pytest.approx(float(loss([x, y, z])))
    if not isinstance(loss, partial):
        assert float(loss([z, x, y])) == pytest.approx(float(loss([x, y, z])))


def test_bad_arguments_are_refused() -> None:
    x, y, z = draw(3, 4, 3, 0)
    for loss in (gram, symile):
        for arguments in [([x],), ([x, y, z[:2]],), ([x[:1], y[:1]],), ([x, y, z], 0.0)]:
            with pytest.raises(InputError):
                loss(*arguments)
    with pytest.raises(InputError):
        pairwise_sigmoid(x, y[:2])


def gaps(seed: int, n: int = 12) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(seed)
    present = {name: torch.rand(n, generator=random) < 0.7 for name in ("ecg", "cmr", "tabular")}
    full = dict(zip(present, draw(3, n, 4, seed), strict=True))
    return {name: full[name][present[name]] for name in present}, present


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_who_lacks_a_modality_takes_part_by_the_pair(seed: int) -> None:
    embeddings, present = gaps(seed)
    full = {name: torch.full((12, 4), torch.nan, dtype=torch.float64) for name in present}
    for name, mask in present.items():
        full[name][mask] = embeddings[name]
    complete = [i for i in range(12) if all(present[n][i] for n in present)]
    total, count = 0.0, 0
    if len(complete) >= 2:
        total, count = len(complete) * float(gram([full[n][complete] for n in present], 0.3)), len(complete)
    for a, b in (("ecg", "cmr"), ("ecg", "tabular"), ("cmr", "tabular")):
        both = [i for i in range(12) if present[a][i] and present[b][i]]
        search = [i for i in both if len(complete) < 2 or i not in complete]
        if len(both) < 2 or not search:
            continue
        v = anchored_volumes(full[a][both], [full[b][both]]) / -0.3
        for i in [both.index(s) for s in search]:
            total += (nll(v[i, i], [*v[i, :i], *v[i, i + 1 :]]) + nll(v[i, i], [*v[:i, i], *v[i + 1 :, i]])) / 2
        count += len(search)
    found = whole_or_pairs(embeddings, present, lambda z, _, anchors: gram(z, 0.3, anchors=anchors))
    assert float(found.loss) == pytest.approx(float(total) / max(count, 1), rel=1e-6)
    assert sum(found.subjects[g] for g in found.parts) == count


def test_a_weight_of_zero_leaves_a_pair_out_of_the_gaps() -> None:
    embeddings, present = gaps(1)
    pairs = {"ecg~cmr": 0.0, "ecg~tabular": 0.0, "cmr~tabular": 0.0}
    found = whole_or_pairs(embeddings, present, lambda z, _, anchors: gram(z, 0.3, anchors=anchors), pairs)
    assert set(found.parts) == {"ecg~cmr~tabular"}
    with pytest.raises(InputError, match="pairs"):
        each_pair(embeddings, present, lambda a, b, _: info_nce(a, b), {"ecg~eeg": 1.0})
