"""ResNets, table encoder, options and weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError, UnknownNameError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import (
    MaskedAutoencoder,
    ResNet,
    ResNet1d,
    TabularMLP,
    ViT,
    build_encoder,
    encoder_options,
    load_weights,
    parameter_count,
)

ECG = InputSpec("ecg", (12, 100), rate_hz=100.0)
CMR = InputSpec("cmr", (3, 64, 64))
TABLE = InputSpec("tabular", (4, 2), cardinalities=(0, 2, 0, 3))


@pytest.mark.parametrize(
    ("depth", "published", "width"),
    [(18, 11_689_512, 512), (34, 21_797_672, 512), (50, 25_557_032, 2048)],
)
def test_resnet_has_the_published_number_of_parameters(depth: int, published: int, width: int) -> None:
    model = ResNet(CMR, depth=depth)
    classifier = 1000 * width + 1000
    assert parameter_count(model) == published - classifier
    assert model.width == width


def test_resnet_parameter_names_are_torchvisions() -> None:
    names = set(ResNet(CMR, depth=50).state_dict())
    expected = {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer3.5.conv3.weight"}
    assert expected | {"layer4.0.downsample.1.bias", "layer4.2.bn3.num_batches_tracked"} <= names
    assert len(names) == 318
    assert "layer1.0.downsample.0.weight" not in ResNet(CMR, depth=18).state_dict()


@pytest.mark.parametrize(("stem", "cells"), [("standard", 4), ("small", 64)])
def test_resnet_tokens_are_cells(stem: str, cells: int) -> None:
    model = ResNet(CMR, depth=18, base_width=8, stem=stem)  # type: ignore[arg-type]
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, cells, 64)


def test_resnet_residual_block_is_the_slow_one() -> None:
    block = ResNet(CMR, depth=18, base_width=4).eval().layer2[0]  # type: ignore[index]
    x = torch.randn(2, 4, 8, 8)
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)

    def norm(y: torch.Tensor, bn: torch.nn.BatchNorm2d) -> torch.Tensor:
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        return (y - bn.running_mean[:, None, None]) * scale[:, None, None] + bn.bias[:, None, None]

    y = norm(torch.nn.functional.conv2d(x, block.conv1.weight, stride=2, padding=1), block.bn1).clamp(min=0)
    y = norm(torch.nn.functional.conv2d(y, block.conv2.weight, padding=1), block.bn2)
    shortcut = torch.einsum("oi,bihw->bohw", block.downsample[0].weight[:, :, 0, 0], x[:, :, ::2, ::2])
    torch.testing.assert_close(block(x), (y + norm(shortcut, block.downsample[1])).clamp(min=0))


def test_resnet1d_takes_crops() -> None:
    model = ResNet1d(ECG, base_width=8)
    assert model(torch.randn(2, 12, 100)).shape == (2, 4, 64)
    assert model(torch.randn(2, 12, 64)).shape == (2, 2, 64)


@pytest.mark.parametrize(
    ("kind", "inputs", "options"),
    [
        ("resnet", CMR, {"depth": 20}),
        ("resnet", CMR, {"base_width": 0}),
        ("resnet", CMR, {"stem": "tiny"}),
        ("resnet1d", ECG, {"kernel": 4}),
        ("resnet1d", ECG, {"blocks": []}),
        ("tabular_mlp", TABLE, {"width": 0}),
        ("vit", ECG, {"patch": [1.5, 100]}),
        ("vit", ECG, {"depth": True}),
        ("vit", ECG, {"drop_path": float("nan")}),
        ("vit", TABLE, {}),
    ],
)
def test_bad_options_are_refused(kind: str, inputs: InputSpec, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build_encoder(kind, inputs, **options)


def test_options_are_completed_and_typed() -> None:
    options = encoder_options("vit", {"patch": [12, 20], "mlp_ratio": 2})
    assert options == {
        "patch": (12, 20), "width": 384, "depth": 3, "heads": 6, "mlp_ratio": 2.0, "drop_path": 0.1,
        "positions": "fixed",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="did you mean 'depth'"):
        encoder_options("vit", {"dept": 3})
    with pytest.raises(UnknownNameError, match="did you mean 'vit'"):
        encoder_options("vti", {})


def table_rows() -> torch.Tensor:
    rows = [[(0.5, 1), (1, 1), (0, 0), (2, 1)], [(-2.0, 1), (0, 0), (0.25, 1), (0, 1)], [(0, 0)] * 4]
    return torch.tensor(rows)


def test_table_is_encoded_as_the_slow_one() -> None:
    x = table_rows()
    expected = []
    for row in x.tolist():
        numbers = [value for (value, _), k in zip(row, TABLE.cardinalities, strict=True) if k == 0]
        missing = [1 - seen for (_, seen), k in zip(row, TABLE.cardinalities, strict=True) if k == 0]
        hot: list[float] = []
        for (value, seen), k in zip(row, TABLE.cardinalities, strict=True):
            if k > 0:
                hot += [float(i == (value if seen else k)) for i in range(k + 1)]
        expected.append(numbers + missing + hot)
    np.testing.assert_array_equal(TabularMLP(TABLE, width=8).one_hot(x).numpy(), np.array(expected, dtype=np.float32))


def test_what_is_missing_has_no_value() -> None:
    x = table_rows()
    hidden = x.clone()
    hidden[..., 0] = torch.where(x[..., 1] == 0, torch.tensor(1.0), x[..., 0])
    model = TabularMLP(TABLE, width=8).eval()
    assert torch.equal(model(x), model(hidden))


@pytest.mark.parametrize("value", [-1.0, 3.0, 7.0])
def test_category_outside_its_cardinality_is_refused(value: float) -> None:
    x = table_rows()
    x[0, 3, 0] = value
    with pytest.raises(InputError, match="cardinality"):
        TabularMLP(TABLE, width=8)(x)


def test_table_of_numbers_or_of_categories_alone() -> None:
    for cardinalities in [(0, 0), (2, 3)]:
        spec = InputSpec("tabular", (2, 2), cardinalities=cardinalities)
        assert TabularMLP(spec, width=8)(torch.ones(3, 2, 2)).shape == (3, 1, 8)
    with pytest.raises(ConfigError, match="cardinality"):
        TabularMLP(InputSpec("tabular", (2, 2)), width=8)


def vit(depth: int = 1, width: int = 24) -> ViT:
    return ViT(ECG, patch=(12, 20), width=width, depth=depth, heads=3)


def test_weights_load_and_change_the_network() -> None:
    source, target = vit(), vit()
    load_weights(target, source.state_dict())
    x = torch.randn(2, 12, 100)
    torch.testing.assert_close(source.eval()(x), target.eval()(x))


def test_weights_of_a_part_load_with_a_prefix() -> None:
    autoencoder, target = MaskedAutoencoder(vit()), vit()
    load_weights(target, autoencoder.state_dict(), prefix="encoder.")
    assert torch.equal(target.norm.weight, autoencoder.encoder.norm.weight)
    assert torch.equal(target.patch_embed.proj.weight, autoencoder.encoder.patch_embed.proj.weight)


@pytest.mark.parametrize(
    ("state", "named", "hint"),
    [
        (lambda: {}, "16 missing: patch_embed.proj.weight", "another architecture"),
        (lambda: {f"module.{k}": v for k, v in vit().state_dict().items()}, "missing", r"prefix='module\.'"),
        (lambda: MaskedAutoencoder(vit()).state_dict(), "mask_token", r"prefix='encoder\.'"),
        (
            lambda: {**vit().state_dict(), "head.weight": torch.zeros(1)},
            "1 unexpected: head.weight",
            r"ignore=\('head\.",
        ),
        (lambda: vit(width=48).state_dict(), r"\(48, 1, 12, 20\) instead of \(24, 1, 12, 20\)", "another size"),
        (lambda: vit(depth=2).state_dict(), r"unexpected: blocks\.1", "more than the network"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_none_is_loaded(state: object, named: str, hint: str) -> None:
    assert callable(state)
    target = vit()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(InputError, match=named) as caught:
        load_weights(target, state())
    assert caught.match(hint)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


def test_weights_of_an_encoder_into_the_whole_network() -> None:
    with pytest.raises(InputError, match="of the part 'encoder"):
        load_weights(MaskedAutoencoder(vit()), vit().state_dict())


def test_ignored_weights_are_left_out() -> None:
    state = {**vit().state_dict(), "fc.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}
    target = vit()
    load_weights(target, state, ignore=("fc.",))
    assert all(torch.equal(v, state[k]) for k, v in target.state_dict().items())
