"""Encoders of tables: the paper's perceptron, and tokens of features with one for what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.stages import stages
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import TabularMLP, TabularTransformer, parameter_count

TABLE = InputSpec("tabular", (4, 2), cardinalities=(0, 2, 0, 3))
ROWS = torch.tensor(
    [
        [(0.5, 1), (1, 1), (0, 0), (2, 1)],
        [(-2.0, 1), (0, 0), (0.25, 1), (0, 1)],
        [(0, 0)] * 4,
        [(1.5, 1)] + [(0, 1)] * 3,
    ]
)


def transformer(**options: object) -> TabularTransformer:
    torch.manual_seed(0)
    return TabularTransformer(TABLE, width=8, heads=2, depth=2, **options).eval()  # type: ignore[arg-type]


def test_the_perceptron_with_plain_columns_is_the_papers() -> None:
    """Linear 33-384, BN, ReLU, Linear 384, parameter for parameter (arXiv 2411.05900, section 3.1)."""
    spec = InputSpec("tabular", (33, 2), cardinalities=(0,) * 25 + (2,) * 5 + (4,) * 3)
    torch.manual_seed(0)
    ours = TabularMLP(spec, columns="plain")
    paper = nn.Sequential(nn.Linear(33, 384), nn.BatchNorm1d(384), nn.ReLU(), nn.Linear(384, 384))
    paper.load_state_dict(
        {name: value for name, value in zip(paper.state_dict(), ours.state_dict().values(), strict=True)}
    )
    assert parameter_count(ours) == parameter_count(paper) == 33 * 384 + 384 + 2 * 384 + 384 * 384 + 384
    values = torch.cat([torch.randn(6, 25), torch.randint(2, (6, 8)).float()], dim=1)
    x = torch.stack([values, torch.ones_like(values)], dim=2)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(x)[:, 0], paper.train(mode)(values))


def test_a_missing_value_is_zero_for_plain_columns() -> None:
    model = TabularMLP(TABLE, width=8, columns="plain").eval()
    x = ROWS.clone()
    x[2, :, 0] = torch.tensor([9.0, 1.0, 9.0, 1.0])
    assert torch.equal(model(x), model(ROWS))
    with pytest.raises(ConfigError, match="columns"):
        TabularMLP(TABLE, columns="one_hot")  # type: ignore[arg-type]


def test_tokens_of_features_are_the_slow_ones() -> None:
    embed = transformer().embed
    values, features, missing, cls = (
        p.detach().numpy() for p in (embed.values.weight, embed.features, embed.missing, embed.cls)
    )
    first_row = [0, 1, 3, 4]
    got = embed(ROWS).detach().numpy()
    assert values.shape == (1 + 2 + 1 + 3, 8)
    for b, row in enumerate(ROWS.tolist()):
        np.testing.assert_array_equal(got[b, 0], cls)
        for j, ((value, seen), k) in enumerate(zip(row, TABLE.cardinalities, strict=True)):
            own = values[first_row[j] + int(value)] if k else values[first_row[j]] * np.float32(value)
            np.testing.assert_allclose(got[b, 1 + j], features[j] + (own if seen else missing), rtol=1e-6)


def slow_attention(x: np.ndarray, weights: dict[str, np.ndarray], heads: int) -> np.ndarray:
    q, k, v = np.split(x @ weights["attn.qkv.weight"].T + weights["attn.qkv.bias"], 3, axis=1)
    size = x.shape[1] // heads
    mixed = np.zeros_like(x)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        for i in range(len(x)):
            mass = np.exp([q[i, own] @ k[j, own] / math.sqrt(size) for j in range(len(x))])
            mixed[i, own] = sum(m * v[j, own] for j, m in enumerate(mass / mass.sum()))
    return np.asarray(mixed @ weights["attn.proj.weight"].T + weights["attn.proj.bias"])


def slow_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(1, keepdims=True)
    return np.asarray(centred / np.sqrt(x.var(1, keepdims=True) + 1e-6) * weight + bias)


def test_the_transformer_is_the_slow_one() -> None:
    model = transformer().double()
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    for row in range(2):
        x = model.embed(ROWS.double())[row].detach().numpy()
        for block in range(2):
            w = {n.removeprefix(f"blocks.{block}."): v for n, v in state.items() if n.startswith(f"blocks.{block}.")}
            x = x + slow_attention(slow_norm(x, w["norm1.weight"], w["norm1.bias"]), w, heads=2)
            hidden = slow_norm(x, w["norm2.weight"], w["norm2.bias"]) @ w["mlp.fc1.weight"].T + w["mlp.fc1.bias"]
            hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
            x = x + hidden @ w["mlp.fc2.weight"].T + w["mlp.fc2.bias"]
        expected = slow_norm(x, state["norm.weight"], state["norm.bias"])
        np.testing.assert_allclose(model(ROWS.double())[row].detach().numpy(), expected, atol=1e-12)


def test_what_is_missing_has_no_value_and_is_not_zero() -> None:
    model = transformer()
    hidden = ROWS.clone()
    hidden[..., 0] = torch.where(ROWS[..., 1] == 0, 1.0, ROWS[..., 0])
    assert torch.equal(model(ROWS), model(hidden))
    zero = torch.tensor([[(0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]])
    gap = zero.clone()
    gap[0, 0, 1] = 0.0
    assert not torch.allclose(model(zero), model(gap))


def test_cls_alone_is_the_first_of_all_tokens() -> None:
    torch.testing.assert_close(transformer(tokens="cls")(ROWS), transformer()(ROWS)[:, :1])
    assert transformer()(ROWS).shape == (4, 5, 8)


@pytest.mark.parametrize("cardinalities", [(0, 0), (2, 3), (1, 0)])
def test_tables_of_one_kind(cardinalities: tuple[int, ...]) -> None:
    spec = InputSpec("tabular", (2, 2), cardinalities=cardinalities)
    model = TabularTransformer(spec, width=8, heads=2, depth=1)
    tokens = model(torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]]))
    tokens.square().sum().backward()
    assert tokens.shape == (2, 3, 8)
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("value", [-1.0, 3.0, math.nan])
def test_a_category_outside_its_cardinality_is_refused(value: float) -> None:
    x = ROWS.clone()
    x[0, 3, 0] = value
    for model in (transformer(), TabularMLP(TABLE, width=8), TabularMLP(TABLE, width=8, columns="plain")):
        with pytest.raises(InputError, match="cardinality"):
            model(x)


@pytest.mark.parametrize(
    "options", [{"heads": 3}, {"depth": 0}, {"drop_path": 1.0}, {"tokens": "mean"}, {"mlp_ratio": 0.0}]
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TabularTransformer(TABLE, **{"width": 8, "heads": 2, **options})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cardinality"):
        TabularTransformer(InputSpec("tabular", (2, 2)), width=8)


def test_layers_are_tokens_and_blocks() -> None:
    model = transformer()
    assert len(stages(model)) == 1 + 2
    assert [m for m in stages(model)[-1]] == [model.blocks[1], model.norm]


def test_half_precision_gives_finite_gradients() -> None:
    model = transformer().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(ROWS).square().mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
