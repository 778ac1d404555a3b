from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.objectives import all_pairs, info_nce, nt_xent, retrieval_recall
from cardiobind.testing import ContractViolation, check_objective


def draw(n: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, d, dtype=torch.float64, generator=random).unbind(0)
    return a, b


def cosine(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(sum(p * q for p, q in zip(x, y, strict=True)) / math.sqrt(sum(x * x)) / math.sqrt(sum(y * y)))


def slow_info_nce(a: NDArray[np.float64], b: NDArray[np.float64], temperature: float, weight: float) -> float:
    n, total = len(a), 0.0
    for i in range(n):
        forth = [math.exp(cosine(a[i], b[j]) / temperature) for j in range(n)]
        back = [math.exp(cosine(a[j], b[i]) / temperature) for j in range(n)]
        total -= weight * math.log(forth[i] / sum(forth)) + (1 - weight) * math.log(back[i] / sum(back))
    return total / n


def slow_nt_xent(z1: NDArray[np.float64], z2: NDArray[np.float64], temperature: float) -> float:
    views = [*z1, *z2]
    n, total = len(z1), 0.0
    for i in range(2 * n):
        other = (i + n) % (2 * n)
        masses = {j: math.exp(cosine(views[i], views[j]) / temperature) for j in range(2 * n) if j != i}
        total -= math.log(masses[other] / sum(masses.values()))
    return total / (2 * n)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 7), d=st.integers(1, 6), temperature=st.floats(0.05, 2), weight=st.floats(0, 1))
def test_info_nce_is_the_slow_one(n: int, d: int, temperature: float, weight: float) -> None:
    a, b = draw(n, d, n + 10 * d)
    expected = slow_info_nce(a.numpy(), b.numpy(), temperature, weight)
    assert float(info_nce(a, b, temperature, weight)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 7), d=st.integers(1, 6), temperature=st.floats(0.05, 2))
def test_nt_xent_is_the_slow_one(n: int, d: int, temperature: float) -> None:
    a, b = draw(n, d, n + 10 * d)
    expected = slow_nt_xent(a.numpy(), b.numpy(), temperature)
    assert float(nt_xent(a, b, temperature)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [2, 5, 64])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_identical_embeddings_give_the_loss_of_guessing(n: int, temperature: float) -> None:
    same = torch.ones(n, 3)
    assert float(info_nce(same, same, temperature)) == pytest.approx(math.log(n), rel=1e-5)
    assert float(nt_xent(same, same, temperature)) == pytest.approx(math.log(2 * n - 1), rel=1e-5)


def test_orthonormal_embeddings_have_a_closed_form() -> None:
    eye, t, n = torch.eye(4, dtype=torch.float64), 0.5, 4
    assert float(info_nce(eye, eye, t)) == pytest.approx(math.log(math.exp(1 / t) + n - 1) - 1 / t)
    assert float(nt_xent(eye, eye, t)) == pytest.approx(math.log(math.exp(1 / t) + 2 * n - 2) - 1 / t)


@pytest.mark.parametrize("loss", [info_nce, nt_xent])
def test_symmetry_and_scale(loss: object) -> None:
    a, b = draw(6, 4, 0)
    assert callable(loss)
    assert float(loss(a, b)) == pytest.approx(float(loss(b, a)))
    assert float(loss(a, b)) == pytest.approx(float(loss(7 * a, 0.1 * b)))


def test_weight_chooses_the_direction() -> None:
    a, b = draw(6, 4, 1)
    assert float(info_nce(a, b, weight=1.0)) == pytest.approx(float(info_nce(b, a, weight=0.0)))
    assert float(info_nce(a, b, weight=1.0)) != pytest.approx(float(info_nce(a, b, weight=0.0)))


@pytest.mark.parametrize(
    "objective", [partial(info_nce, temperature=0.5, weight=0.3), partial(nt_xent, temperature=0.5)]
)
def test_objectives_keep_the_contract(objective: object) -> None:
    assert callable(objective)
    check_objective(objective)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (lambda a, b: (a - b).square().sum(1), "scalar"),
        (lambda a, b: (a[0] - b[0]).square().sum(), "order"),
        (lambda a, b: (a - b).square().sum() * torch.rand(()), "deterministic"),
        (lambda a, b: (a.detach() * b).sum(), "finite difference"),
        (lambda a, b: (a - b).norm(dim=1).log().sum(), "collapsed"),
    ],
)
def test_check_objective_catches_a_broken_one(broken: object, promise: str) -> None:
    assert callable(broken)
    with pytest.raises(ContractViolation, match=promise):
        check_objective(broken)


@pytest.mark.parametrize("loss", [info_nce, nt_xent])
def test_bad_arguments_are_refused(loss: object) -> None:
    assert callable(loss)
    a, b = draw(4, 3, 0)
    for arguments in [(a, b[:3]), (a[:1], b[:1]), (a[:0], b[:0]), (a, b, 0.0), (a, b, float("nan"))]:
        with pytest.raises(InputError):
            loss(*arguments)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 9), k=st.integers(1, 9))
def test_recall_is_the_slow_one(n: int, k: int) -> None:
    a, b = (x.numpy() for x in draw(n, 3, n + k))
    hits = 0
    for i in range(n):
        order = sorted(range(n), key=lambda j: -cosine(a[i], b[j]))
        hits += i in order[:k]
    assert float(retrieval_recall(torch.from_numpy(a), torch.from_numpy(b), k)) == pytest.approx(hits / n)


def test_recall_of_collapsed_embeddings_is_zero() -> None:
    assert float(retrieval_recall(torch.ones(8, 3), torch.ones(8, 3), 5)) == 0.0
    assert float(retrieval_recall(torch.eye(8), torch.eye(8), 1)) == 1.0
    with pytest.raises(InputError):
        retrieval_recall(torch.ones(8, 3), torch.ones(8, 3), 0)


def modalities(seed: int, subjects: int = 9) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    random = torch.Generator().manual_seed(seed)
    present = {name: torch.rand(subjects, generator=random) < 0.7 for name in ("ecg", "cmr", "tabular")}
    full = {name: torch.randn(subjects, 4, dtype=torch.float64, generator=random) for name in present}
    return {name: full[name][present[name]] for name in present}, present


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), weight=st.floats(0.1, 5))
def test_all_pairs_is_info_nce_on_the_subjects_that_have_both(seed: int, weight: float) -> None:
    embeddings, present = modalities(seed)
    result = all_pairs(embeddings, present, 0.3, {"cmr~ecg": weight})
    expected, total = 0.0, 0.0
    for first, second in [("ecg", "cmr"), ("ecg", "tabular"), ("cmr", "tabular")]:
        rows = {name: torch.nonzero(present[name]).flatten().tolist() for name in (first, second)}
        both = [i for i in rows[first] if i in rows[second]]
        assert result.subjects[f"{first}~{second}"] == len(both)
        if len(both) < 2:
            assert f"{first}~{second}" in result.skipped
            continue
        a, b = (embeddings[n][[rows[n].index(i) for i in both]].numpy() for n in (first, second))
        w = weight if (first, second) == ("ecg", "cmr") else 1.0
        expected, total = expected + w * slow_info_nce(a, b, 0.3, 0.5), total + w
    assert float(result.loss) == pytest.approx(expected / max(total, 1e-9))


def test_all_pairs_does_not_depend_on_the_order_of_subjects() -> None:
    embeddings, present = modalities(5)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    moved: dict[str, torch.Tensor] = {}
    for name, mask in present.items():
        full = torch.zeros(9, 4, dtype=torch.float64)
        full[mask] = embeddings[name]
        moved[name] = full[order][mask[order]]
    shuffled = all_pairs(moved, {n: m[order] for n, m in present.items()})
    assert float(shuffled.loss) == pytest.approx(float(all_pairs(embeddings, present).loss))


@pytest.mark.parametrize("shared", [0, 1])
def test_a_pair_without_overlap_is_skipped_and_counted(shared: int) -> None:
    present = {"ecg": torch.arange(6) < 3 + shared, "cmr": torch.arange(6) >= 3}
    embeddings = {n: torch.randn(int(m.sum()), 4, requires_grad=True) for n, m in present.items()}
    result = all_pairs(embeddings, present)
    assert (result.skipped, result.subjects) == (("ecg~cmr",), {"ecg~cmr": shared})
    assert result.loss.item() == 0.0
    result.loss.backward()
    for e in embeddings.values():
        assert e.grad is not None
        assert float(e.grad.abs().sum()) == 0.0


def test_a_modality_that_nobody_has_is_skipped() -> None:
    embeddings, present = modalities(3)
    embeddings["cmr"], present["cmr"] = embeddings["cmr"][:0], torch.zeros(9, dtype=torch.bool)
    result = all_pairs(embeddings, present)
    assert set(result.skipped) == {"ecg~cmr", "cmr~tabular"}
    assert bool(result.loss.isfinite())


def test_a_weight_of_zero_leaves_a_pair_out() -> None:
    embeddings, present = modalities(3)
    result = all_pairs(embeddings, present, weights={"tabular~ecg": 0.0, "cmr~tabular": 0.0})
    assert set(result.parts) == {"ecg~cmr"}
    assert float(result.loss) == pytest.approx(float(result.parts["ecg~cmr"]))


def test_all_pairs_refuses_what_does_not_match() -> None:
    embeddings, present = modalities(3)
    with pytest.raises(InputError, match="two modalities"):
        all_pairs({"ecg": embeddings["ecg"]}, present)
    with pytest.raises(InputError, match="mask"):
        all_pairs({**embeddings, "ecg": embeddings["ecg"][:-1]}, present)
    with pytest.raises(InputError, match="pairs"):
        all_pairs(embeddings, present, weights={"ecg~eeg": 1.0})
    with pytest.raises(InputError, match="pairs"):
        all_pairs(embeddings, present, weights={"ecg~cmr": -1.0})
