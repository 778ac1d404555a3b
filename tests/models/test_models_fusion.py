"""Heads, towers, fusion with absent modalities, and random kernels."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import (
    AttentionPool,
    LateFusion,
    MeanPool,
    ProjectionHead,
    RandomKernels,
    ResNet1d,
    TabularMLP,
    Tower,
    parameter_count,
)

ECG = InputSpec("ecg", (12, 64), rate_hz=100.0)
TABLE = InputSpec("tabular", (2, 2), cardinalities=(0, 2))


def fusion(**options: float) -> LateFusion:
    torch.manual_seed(0)
    ecg = Tower(ResNet1d(ECG, base_width=4), MeanPool())
    table = Tower(TabularMLP(TABLE, width=8), MeanPool())
    return LateFusion({"ecg": ecg, "tabular": table}, **options)  # type: ignore[arg-type]


def test_attention_pool_is_the_slow_one() -> None:
    pool = AttentionPool(8, heads=2)
    x = torch.randn(3, 5, 8)
    for b in range(3):
        query = pool.query(x[b].mean(0))
        key, value = pool.key_value(x[b]).split(8, dim=1)
        out = []
        for head in (slice(0, 4), slice(4, 8)):
            mass = torch.softmax(torch.stack([query[head] @ k / math.sqrt(4) for k in key[:, head]]), 0)
            out.append(sum(m * v for m, v in zip(mass, value[:, head], strict=True)))
        torch.testing.assert_close(pool(x)[b], pool.proj(torch.cat(out)))  # type: ignore[arg-type]


def test_pools_ignore_the_order_of_tokens() -> None:
    x, order = torch.randn(2, 6, 8), torch.randperm(6)
    for pool in (MeanPool(), AttentionPool(8)):
        torch.testing.assert_close(pool(x), pool(x[:, order]))
    with pytest.raises(ConfigError):
        AttentionPool(8, heads=3)


def test_projection_head_shape() -> None:
    head = ProjectionHead(8, 16)
    assert head(torch.randn(2, 8)).shape == (2, 128)
    assert parameter_count(head) == 8 * 16 + 16 + 16 * 128 + 128


@pytest.mark.parametrize("has", list(product([False, True], repeat=2))[1:])
def test_a_subject_is_scored_by_what_it_has(has: tuple[bool, bool]) -> None:
    model = fusion(outputs=2).eval()
    ecg, table = torch.randn(4, 12, 64), torch.tensor([[[0.3, 1], [1, 1]]]).expand(4, 2, 2)
    present = {"ecg": torch.tensor([True, True, has[0], True]), "tabular": torch.tensor([True, False, has[1], True])}
    logits = model({"ecg": ecg[present["ecg"]], "tabular": table[present["tabular"]]}, present)
    alone = model(
        {"ecg": ecg[2:3][: has[0]], "tabular": table[2:3][: has[1]]},
        {"ecg": torch.tensor([has[0]]), "tabular": torch.tensor([has[1]])},
    )
    assert logits.shape == (4, 2)
    torch.testing.assert_close(logits[2:3], alone)


def test_an_absent_modality_may_go_unnamed() -> None:
    model, ecg = fusion().eval(), torch.randn(3, 12, 64)
    yes, no = torch.ones(3, dtype=torch.bool), torch.zeros(3, dtype=torch.bool)
    named = model({"ecg": ecg, "tabular": torch.zeros(0, 2, 2)}, {"ecg": yes, "tabular": no})
    torch.testing.assert_close(model({"ecg": ecg}, {"ecg": yes}), named)


def test_absent_is_a_learned_token_and_not_zeros() -> None:
    model = fusion(modality_dropout=0.0)
    present = {"ecg": torch.tensor([True, True, True]), "tabular": torch.tensor([True, True, False])}
    model({"ecg": torch.randn(3, 12, 64), "tabular": torch.ones(2, 2, 2)}, present).sum().backward()
    assert float(model.absent["tabular"].grad.abs().sum()) > 0
    assert float(model.absent["ecg"].grad.abs().sum()) == 0


def test_modality_dropout_keeps_at_least_one_and_its_rate() -> None:
    torch.manual_seed(0)
    model = fusion(modality_dropout=0.4)
    have = torch.rand(20_000, 2) < 0.7
    have = have[have.any(dim=1)]
    shown = model.keep(have)
    assert bool(shown.any(dim=1).all())
    assert not bool((shown & ~have).any())
    assert torch.equal(shown[have.sum(dim=1) == 1], have[have.sum(dim=1) == 1])
    both = shown[have.all(dim=1)].float().mean()
    assert float(both) == pytest.approx(1 - 0.4 + 0.4**2 / 2, abs=0.02)
    assert torch.equal(model.eval().keep(have), have)


def test_nobody_is_scored_by_nothing() -> None:
    present = {"ecg": torch.tensor([True, False])}
    with pytest.raises(InputError, match="1 subjects have none"):
        fusion()({"ecg": torch.randn(1, 12, 64)}, present)
    with pytest.raises(InputError, match="mask"):
        fusion()({"ecg": torch.randn(2, 12, 64)}, present)


def test_fusion_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError):
        LateFusion({})
    with pytest.raises(ConfigError):
        fusion(modality_dropout=1.0)
    assert parameter_count(fusion(hidden=0).head) == 32 + 8 + 1


def kernels(seed: int = 0) -> RandomKernels:
    return RandomKernels(ECG, features=84 * 6, dilations=3, seed=seed)


def test_random_kernels_are_the_slow_ones() -> None:
    model, x = kernels(), torch.randn(3, 12, 64, generator=torch.Generator().manual_seed(0))
    got = model.fit(x)(x).numpy()
    patterns = list(combinations(range(9), 3))
    column = 0
    for d, dilation in enumerate(model.dilations):
        for k, positions in enumerate(patterns):
            weights = np.array([2.0 if j in positions else -1.0 for j in range(9)])
            leads = [i for i in range(12) if float(model.weight[d, k, i].abs().sum()) > 0]
            padded = np.pad(x[1, leads].sum(0).numpy(), 4 * dilation)
            response = [float(weights @ padded[t : t + 8 * dilation + 1 : dilation]) for t in range(64)]
            for threshold in model.bias[d, k].tolist():
                assert got[1, column] == pytest.approx(np.mean(np.array(response) > threshold), abs=1.5 / 64)
                column += 1
    assert column == model.width == got.shape[1]


def test_random_kernels_follow_the_seed_and_keep_their_biases() -> None:
    x = torch.randn(20, 12, 64)
    features = kernels().fit(x)(x)
    torch.testing.assert_close(kernels().fit(x)(x), features)
    assert not torch.equal(kernels(seed=1).fit(x)(x), features)
    restored = kernels()
    restored.load_state_dict(kernels().fit(x).state_dict())
    torch.testing.assert_close(restored(x[:2]), features[:2])
    assert float(features.min()) >= 0.0
    assert float(features.max()) <= 1.0
    assert parameter_count(kernels()) == 0


def test_random_kernels_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InputError, match="fit"):
        kernels()(torch.zeros(1, 12, 64))
    with pytest.raises(InputError, match="at least one"):
        kernels().fit(torch.zeros(0, 12, 64))
    with pytest.raises(InputError, match="does not fit"):
        kernels().fit(torch.zeros(2, 12, 60))
    with pytest.raises(ConfigError, match="too few"):
        RandomKernels(ECG, features=100)
    with pytest.raises(ConfigError, match="ECG"):
        RandomKernels(TABLE)
