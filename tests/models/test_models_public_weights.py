"""Residual networks have torchvision's names, shapes and counts, so that public weights load, or the names are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cardiobind.errors import InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import ResNet, ViT, load_weights, parameter_count, spread_channels

PLAIN = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3)}


def image(channels: int = 3) -> InputSpec:
    return InputSpec("cmr", (channels, 32, 32))


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (width,) for part in parts}, f"{name}.num_batches_tracked": ()}


def published(depth: int, classes: int = 1000) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of torchvision's network, from its construction (He et al. 2016, table 1)."""
    wide = 4 if depth in BOTTLENECK else 1
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    inputs = 64
    for stage, blocks in enumerate((PLAIN | BOTTLENECK)[depth]):
        planes = 64 * 2**stage
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            kernels = [(planes, inputs, 3), (planes, planes, 3)]
            if wide == 4:
                kernels = [(planes, inputs, 1), (planes, planes, 3), (4 * planes, planes, 1)]
            for number, (out, into, side) in enumerate(kernels, start=1):
                shapes[f"{name}.conv{number}.weight"] = (out, into, side, side)
                shapes |= norm(f"{name}.bn{number}", out)
            if block == 0 and inputs != wide * planes:
                shapes[f"{name}.downsample.0.weight"] = (wide * planes, inputs, 1, 1)
                shapes |= norm(f"{name}.downsample.1", wide * planes)
            inputs = wide * planes
    return {**shapes, "fc.weight": (classes, inputs), "fc.bias": (classes,)}


def public_file(depth: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: torch.rand(shape) if shape else torch.tensor(7) for name, shape in published(depth).items()}


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_names_shapes_and_order_are_the_published_ones(depth: int) -> None:
    own = {name: tuple(value.shape) for name, value in ResNet(image(), depth=depth).state_dict().items()}
    assert own == {name: shape for name, shape in published(depth).items() if not name.startswith("fc.")}


def test_resnet50_has_the_published_counts() -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    scalars = sum(torch.Size(s).numel() for name, s in published(50).items() if not name.endswith(statistics))
    assert scalars == 25_557_032
    assert parameter_count(ResNet(image(), depth=50)) == scalars - 2049 * 1000 == 23_508_032


def test_a_public_file_loads_without_its_classifier() -> None:
    state, model = public_file(18), ResNet(image(), depth=18)
    with pytest.raises(InputError, match=r"2 unexpected: fc\.weight, fc\.bias") as caught:
        load_weights(model, state)
    assert caught.match(r"ignore=\('fc\.',\)")
    load_weights(model, state, ignore=("fc.",))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_an_older_file_without_counts_of_batches_loads() -> None:
    state = {name: value for name, value in public_file(18).items() if not name.endswith("num_batches_tracked")}
    model = ResNet(image(), depth=18)
    load_weights(model, state, ignore=("fc.",))
    assert torch.equal(model.layer4[1].bn2.running_var, state["layer4.1.bn2.running_var"])
    assert int(model.bn1.num_batches_tracked) == 0


SPOILT: dict[str, tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "partial": (lambda s: {n: v for n, v in s.items() if not n.startswith("layer4.1")}, r"missing: layer4\.1\.conv1"),
    "one key": (lambda s: {n: v for n, v in s.items() if n != "bn1.running_mean"}, r"1 missing: bn1\.running_mean"),
    "wrapped": (lambda s: {f"module.{n}": v for n, v in s.items()}, r"prefix='module\.'"),
    "state_dict": (lambda s: {f"state_dict.{n}": v for n, v in s.items()}, r"prefix='state_dict\.'"),
    "deeper": (lambda _: public_file(34), r"unexpected: layer1\.2\.conv1\.weight"),
    "bottleneck": (lambda _: public_file(50), r"mismatched: layer1\.0\.conv1\.weight \(64, 64, 1, 1\)"),
    "transformer": (lambda _: ViT(image(), patch=(16, 16), width=24, heads=3).state_dict(), "another architecture"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_wrong_or_partial_file_is_named_and_nothing_is_loaded(what: str) -> None:
    spoil, said = SPOILT[what]
    model = ResNet(image(), depth=18)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=said):
        load_weights(model, spoil(public_file(18)), ignore=("fc.",))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("channels", [6, 9, 24])
def test_kernels_of_three_colours_are_spread_over_planes(channels: int) -> None:
    state, model = public_file(18), ResNet(image(channels), depth=18).eval()
    with pytest.raises(InputError, match=rf"conv1\.weight \(64, 3, 7, 7\) instead of \(64, {channels}, 7, 7\)"):
        load_weights(model, state, ignore=("fc.",))
    kernel = spread_channels(state["conv1.weight"], channels)
    load_weights(model, {**state, "conv1.weight": kernel}, ignore=("fc.",))
    colours = ResNet(image(), depth=18).eval()
    load_weights(colours, state, ignore=("fc.",))
    x = torch.rand(2, 1, 32, 32)
    many, three = (net.conv1(x.expand(-1, n, -1, -1)) for net, n in ((model, channels), (colours, 3)))
    torch.testing.assert_close(many, three, rtol=1e-5, atol=1e-4)


def test_spreading_repeats_in_turn() -> None:
    kernel = torch.arange(6.0).reshape(2, 3, 1, 1)
    assert spread_channels(kernel, 5)[0, :, 0, 0].tolist() == pytest.approx([0, 0.6, 1.2, 0, 0.6])
    assert torch.equal(spread_channels(kernel, 3), kernel)


@pytest.mark.parametrize("depth", [10, 18, 50])
def test_blocks_can_begin_as_their_shortcuts(depth: int) -> None:
    torch.manual_seed(0)
    usual = ResNet(image(), depth=depth, base_width=4)
    torch.manual_seed(0)
    model = ResNet(image(), depth=depth, base_width=4, zero_init_residual=True)
    last = "bn3.weight" if depth == 50 else "bn2.weight"
    for name, value in usual.state_dict().items():
        own = model.state_dict()[name]
        assert torch.equal(own, torch.zeros_like(own) if name.endswith(last) and "layer" in name else value), name
    x = torch.rand(2, 8 * 4 * (4 if depth == 50 else 1), 4, 4)
    torch.testing.assert_close(model.layer4[-1](x) if depth > 10 else x, x)
