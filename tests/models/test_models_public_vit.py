"""Vision transformers have timm's names and shapes, so that public weights load; what lacks or is too much is named."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.config.parts import EncoderConfig, WeightsConfig
from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import ViT, load_weights, resized_positions
from cardiobind.pipeline.first_weights import first_encoder

Shapes = dict[str, tuple[int, ...]]
SMALL = {"patch": (8, 8), "width": 24, "depth": 2, "heads": 3, "positions": "learned"}
BESIDE = ("cls_token", "head.")


def image(side: int = 32, channels: int = 3) -> InputSpec:
    return InputSpec("cmr", (channels, side, side))


def published(width: int, depth: int, patch: int, cells: int, classes: int = 1000) -> Shapes:
    """Return names and shapes of timm's plain ViT, from its construction (Dosovitskiy et al. 2021, table 1)."""
    shapes: Shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + cells, width)}
    shapes |= {"patch_embed.proj.weight": (width, 3, patch, patch), "patch_embed.proj.bias": (width,)}
    for block in range(depth):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        layers |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for name, (out, into) in layers.items():
            shapes |= {f"blocks.{block}.{name}.weight": (out, into), f"blocks.{block}.{name}.bias": (out,)}
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{name}.{part}": (width,) for part in ("weight", "bias")}
    shapes |= {f"norm.{part}": (width,) for part in ("weight", "bias")}
    return {**shapes, "head.weight": (classes, width), "head.bias": (classes,)}


def public_file(cells: int = 16) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: torch.rand(shape) for name, shape in published(24, 2, 8, cells, 10).items()}


def test_a_base_transformer_has_the_published_names_shapes_and_count() -> None:
    names = published(768, 12, 16, 196)
    assert sum(torch.Size(shape).numel() for shape in names.values()) == 86_567_656
    model = ViT(image(224), patch=(16, 16), width=768, depth=1, heads=12, positions="learned")
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    first = {name: shape for name, shape in names.items() if not name.startswith("blocks.") or "blocks.0." in name}
    wanted = {name: shape for name, shape in first.items() if not name.startswith(BESIDE)}
    assert own == wanted | {"pos_embed": (1, 196, 768)}


def test_learned_positions_begin_as_the_fixed_ones_and_are_kept() -> None:
    options = {name: value for name, value in SMALL.items() if name != "positions"}
    torch.manual_seed(0)
    fixed = ViT(image(), **options).eval()
    torch.manual_seed(0)
    learned = ViT(image(), **SMALL).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(fixed(x), learned(x))
    assert "pos_embed" in learned.state_dict()
    assert "pos_embed" not in fixed.state_dict()
    with pytest.raises(ConfigError, match="no such positions"):
        ViT(image(), **{**SMALL, "positions": "rotary"})


def chosen(file: Path, **weights: Any) -> EncoderConfig:
    return EncoderConfig(kind="vit", options=SMALL, weights=WeightsConfig(file=str(file), **weights))


@pytest.mark.parametrize("kept", ["plain", "model", "args", "teacher"])
def test_a_public_file_loads_whole_however_it_is_kept(tmp_path: Path, kept: str) -> None:
    state, file = public_file(), tmp_path / "vit.pth"
    beside = {"args": argparse.Namespace(lr=1e-3), "epoch": 799}
    held = {"plain": state, "model": {"model": state}, "args": {"model": state, **beside},
            "teacher": {"student": {}, "teacher": state}}  # fmt: skip
    torch.save(held[kept], file)
    entry = {"entry": "teacher"} if kept == "teacher" else {}
    encoder = first_encoder(chosen(file, ignore=BESIDE, positions="exact", **entry), image())
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, state[name][:, 1:] if name == "pos_embed" else state[name]), name


def test_a_masked_autoencoder_loads_without_its_decoder(tmp_path: Path) -> None:
    sizes = {"mask_token": (1, 1, 16), "decoder_embed.weight": (16, 24), "decoder_pos_embed": (1, 17, 16)}
    decoder = {name: torch.zeros(size) for name, size in (sizes | {"decoder_blocks.0.norm1.weight": (16,)}).items()}
    state = {name: value for name, value in public_file().items() if not name.startswith("head.")}
    torch.save({"model": state | decoder}, tmp_path / "mae.pth")
    ignore = ("cls_token", "mask_token", "decoder_")
    encoder = first_encoder(chosen(tmp_path / "mae.pth", ignore=ignore, positions="exact"), image())
    assert torch.equal(encoder.state_dict()["blocks.1.mlp.fc2.weight"], state["blocks.1.mlp.fc2.weight"])
    with pytest.raises(ConfigError, match="4 unexpected: mask_token, decoder_embed"):
        first_encoder(chosen(tmp_path / "mae.pth", ignore=("cls_token",), positions="exact"), image())


def test_positions_of_another_size_are_interpolated_where_that_is_asked_for(tmp_path: Path) -> None:
    torch.save(public_file(cells=49), tmp_path / "vit.pth")
    with pytest.raises(ConfigError, match="another number of patches") as caught:
        first_encoder(chosen(tmp_path / "vit.pth", ignore=BESIDE, positions="exact"), image())
    assert caught.match("positions = 'interpolate'")
    encoder = first_encoder(chosen(tmp_path / "vit.pth", ignore=BESIDE, positions="interpolate"), image())
    grid = public_file(cells=49)["pos_embed"][:, 1:].reshape(1, 7, 7, 24).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, (4, 4), mode="bicubic", antialias=True)
    torch.testing.assert_close(encoder.state_dict()["pos_embed"][0, 5], wanted[0, :, 1, 1])


def test_interpolation_keeps_constants_grids_and_slopes() -> None:
    same = torch.rand(1, 16, 6)
    assert torch.equal(resized_positions(same, (4, 4)), same)
    assert torch.equal(resized_positions(torch.cat([same[:, :1], same], 1), (4, 4)), same)
    torch.testing.assert_close(resized_positions(torch.full((1, 9, 2), 3.0), (5, 7)), torch.full((1, 35, 2), 3.0))
    rows = torch.arange(8.0).repeat_interleave(8)[None, :, None]
    wide = resized_positions(rows, (16, 16)).reshape(16, 16)
    torch.testing.assert_close(wide[4:12, 0], torch.arange(4, 12) / 2 - 0.25, atol=0.02, rtol=0)
    torch.testing.assert_close(wide[:, 0], wide[:, 9])
    with pytest.raises(InputError, match="not of a square"):
        resized_positions(torch.rand(1, 15, 6), (4, 4))


def test_patches_of_three_colours_are_spread_over_planes(tmp_path: Path) -> None:
    torch.save(public_file(), tmp_path / "vit.pth")
    given = chosen(tmp_path / "vit.pth", ignore=BESIDE, positions="exact", spread="patch_embed.proj.weight")
    kernel = first_encoder(given, image(channels=9)).state_dict()["patch_embed.proj.weight"]
    torch.testing.assert_close(kernel[:, 3:6], public_file()["patch_embed.proj.weight"] / 3)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "positions of a fixed one": ({"positions": "exact"}, "no learned positions"),
    "no entry": ({"entry": "momentum"}, "no such entry"),
    "unmentioned": ({}, "positions='learned'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_said(tmp_path: Path, what: str) -> None:
    weights, said = WRONG[what]
    torch.save({"teacher": {}, **public_file()} if what == "no entry" else public_file(), tmp_path / "vit.pth")
    fixed = {name: value for name, value in SMALL.items() if name != "positions"}
    config = EncoderConfig(
        kind="vit", options=fixed, weights=WeightsConfig(file=str(tmp_path / "vit.pth"), ignore=BESIDE, **weights)
    )
    with pytest.raises(ConfigError, match=said):
        first_encoder(config, image())


def test_a_partial_or_other_file_is_named_and_nothing_is_loaded() -> None:
    model, state = ViT(image(), **SMALL), public_file()
    state["pos_embed"] = state["pos_embed"][:, 1:]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    partial = {name: value for name, value in state.items() if "blocks.1" not in name}
    with pytest.raises(InputError, match=r"12 missing: blocks\.1\.norm1\.weight"):
        load_weights(model, partial, ignore=BESIDE)
    with pytest.raises(InputError, match=r"1 mismatched: pos_embed \(1, 17, 24\) instead of \(1, 16, 24\)"):
        load_weights(model, public_file(), ignore=BESIDE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
