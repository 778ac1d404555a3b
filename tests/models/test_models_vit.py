"""ViT and masked autoencoder against NumPy, and the promises of masking."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MaskedAutoencoder, ViT
from cardiobind.models.mae import _Permute
from cardiobind.models.vit import DropPath, patchify, sincos_positions, unpatchify

Array = NDArray[np.float64]
ECG = InputSpec("ecg", (12, 60), rate_hz=100.0)
CMR = InputSpec("cmr", (3, 16, 24))


def small_vit(inputs: InputSpec = ECG, patch: tuple[int, int] = (3, 20), depth: int = 2) -> ViT:
    torch.manual_seed(0)
    return ViT(inputs, patch=patch, width=24, depth=depth, heads=3).eval()


def slow_layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * scale + shift


def slow_attention(x: Array, w: dict[str, Array], prefix: str, heads: int) -> Array:
    qkv = x @ w[prefix + "qkv.weight"].T + w[prefix + "qkv.bias"]
    width = x.shape[1]
    size = width // heads
    out = np.zeros_like(x)
    for head in range(heads):
        q, k, v = (qkv[:, part * width + head * size :][:, :size] for part in range(3))
        for i in range(len(x)):
            score = np.array([q[i] @ k[j] / math.sqrt(size) for j in range(len(x))])
            mass = np.exp(score - score.max())
            out[i, head * size :][:size] = sum(m * v[j] for j, m in enumerate(mass / mass.sum()))
    return out @ w[prefix + "proj.weight"].T + w[prefix + "proj.bias"]


def slow_mlp(x: Array, w: dict[str, Array], prefix: str) -> Array:
    h = x @ w[prefix + "fc1.weight"].T + w[prefix + "fc1.bias"]
    gelu = np.vectorize(lambda t: 0.5 * t * (1 + math.erf(t / math.sqrt(2))))
    return gelu(h) @ w[prefix + "fc2.weight"].T + w[prefix + "fc2.bias"]


def slow_position(row: int, column: int, width: int) -> Array:
    out = []
    for index in (row, column):
        frequency = [1 / 10_000 ** (i / (width // 4)) for i in range(width // 4)]
        out += [math.sin(index * f) for f in frequency] + [math.cos(index * f) for f in frequency]
    return np.array(out)


def slow_vit(model: ViT, image: Array) -> Array:
    w = {name: value.double().numpy() for name, value in model.state_dict().items()}
    (h, wd), tokens = model.patch, []
    for row in range(image.shape[1] // h):
        for column in range(image.shape[2] // wd):
            cell = image[:, row * h : (row + 1) * h, column * wd : (column + 1) * wd]
            kernel = w["patch_embed.proj.weight"]
            embedded = np.array([(kernel[o] * cell).sum() for o in range(len(kernel))]) + w["patch_embed.proj.bias"]
            tokens.append(embedded + slow_position(row, column, model.width))
    x = np.array(tokens)
    for i in range(len(model.blocks)):
        b = f"blocks.{i}."
        x = x + slow_attention(
            slow_layer_norm(x, w[b + "norm1.weight"], w[b + "norm1.bias"]), w, b + "attn.", model.blocks[i].attn.heads
        )
        x = x + slow_mlp(slow_layer_norm(x, w[b + "norm2.weight"], w[b + "norm2.bias"]), w, b + "mlp.")
    return slow_layer_norm(x, w["norm.weight"], w["norm.bias"])


@pytest.mark.parametrize(("inputs", "patch"), [(ECG, (3, 20)), (ECG, (12, 10)), (ECG, (1, 20)), (CMR, (8, 8))])
def test_forward_is_the_slow_one(inputs: InputSpec, patch: tuple[int, int]) -> None:
    model = small_vit(inputs, patch)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.randn(2, *inputs.shape, generator=torch.Generator().manual_seed(1))
    tokens = model(x).detach().numpy()
    for subject in range(2):
        image = x[subject].double().numpy()
        expected = slow_vit(model, image[None] if inputs.modality == "ecg" else image)
        np.testing.assert_allclose(tokens[subject], expected, rtol=1e-3, atol=1e-4)


def test_patch_embedding_is_the_convolution() -> None:
    model = small_vit()
    x = torch.randn(2, 12, 60)
    expected = model.patch_embed.proj(x[:, None]).flatten(2).transpose(1, 2)
    torch.testing.assert_close(model.patch_embed(model.patchify(x)), expected)


def test_parameter_names_are_timms() -> None:
    names = {name.replace("blocks.1.", "blocks.0.") for name in small_vit().state_dict()}
    block = [f"blocks.0.{part}" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")]
    assert names == {f"{part}.{kind}" for part in ["patch_embed.proj", "norm", *block] for kind in ("weight", "bias")}


def test_a_crop_takes_the_first_positions() -> None:
    model = small_vit()
    x = torch.randn(2, 12, 60)
    whole, crop = (model.embed(model.patchify(part)).unflatten(1, (4, -1)) for part in (x, x[..., :40]))
    torch.testing.assert_close(crop, whole[:, :, :2])
    assert model(x[..., :20]).shape == (2, 4, 24)


@pytest.mark.parametrize("shape", [(2, 12, 50), (2, 12, 80), (2, 9, 60), (12, 60), (2, 12, 0)])
def test_a_batch_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="does not fit"):
        small_vit()(torch.zeros(shape))


@pytest.mark.parametrize(
    "options",
    [
        {"patch": (5, 20)},
        {"patch": (3, 7)},
        {"patch": (0, 20)},
        {"heads": 5},
        {"depth": 0},
        {"drop_path": 1.0},
        {"width": 18, "heads": 3},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ViT(ECG, **({"patch": (3, 20), "width": 24, "heads": 3} | options))  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 3),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    patch=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_unpatchify_undoes_patchify(batch: int, channels: int, rows: int, columns: int, patch: tuple[int, int]) -> None:
    image = torch.randn(batch, channels, rows * patch[0], columns * patch[1])
    patches = patchify(image, patch)
    assert patches.shape == (batch, rows * columns, channels * patch[0] * patch[1])
    assert torch.equal(unpatchify(patches, patch, channels, rows), image)


def test_positions_are_distinct_and_bounded() -> None:
    positions = sincos_positions(12, 50, 64).flatten(0, 1)
    assert float(positions.abs().max()) <= 1.0
    assert float(torch.pdist(positions).min()) > 0.05


def test_drop_path_keeps_the_mean_and_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    layer, x = DropPath(0.3), torch.ones(20_000, 1, 2)
    kept = layer(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert torch.equal(kept[:, :, 0], kept[:, :, 1])
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)
    assert layer.eval()(x) is x


def test_drop_path_grows_linearly_over_the_blocks() -> None:
    rates = [block.drop_path.rate for block in ViT(ECG, patch=(3, 20), width=24, depth=3, heads=3).blocks]
    assert rates == pytest.approx([0.0, 0.05, 0.1])


def autoencoder(ratio: float = 0.75, inputs: InputSpec = ECG, patch: tuple[int, int] = (3, 20)) -> MaskedAutoencoder:
    encoder = small_vit(inputs, patch)
    model = MaskedAutoencoder(encoder, mask_ratio=ratio, decoder_width=16, decoder_depth=1, decoder_heads=2)
    return model.eval()


@pytest.mark.parametrize("inputs", [ECG, CMR])
def test_autoencoder_patchify_is_undone(inputs: InputSpec) -> None:
    model = autoencoder(inputs=inputs, patch=(4, 4))
    x = torch.randn(2, *inputs.shape)
    assert torch.equal(model.unpatchify(model.encoder.patchify(x)), x)


def test_embedding_some_patches_is_some_of_the_embedded_patches() -> None:
    model = small_vit()
    patches = model.patchify(torch.randn(2, 12, 60))
    kept = torch.stack([torch.randperm(12)[:5] for _ in range(2)])
    expected = model.embed(patches).gather(1, kept[..., None].expand(-1, -1, 24))
    torch.testing.assert_close(model.embed(patches, kept), expected)


@settings(max_examples=20, deadline=None)
@given(ratio=st.floats(0.05, 0.95))
def test_mask_ratio_is_exact_and_the_order_is_restored(ratio: float) -> None:
    masking = autoencoder(ratio).random_masking(torch.zeros(5, 12, 60))
    count = max(1, round(12 * (1 - ratio)))
    assert masking.visible.shape == (5, count)
    assert bool((masking.hidden.sum(dim=1) == 12 - count).all())
    assert bool((masking.rank.sort(dim=1).values == torch.arange(12)).all())
    assert torch.equal(masking.rank.gather(1, masking.visible), torch.arange(count).expand(5, -1))
    assert not bool(masking.hidden.gather(1, masking.visible).any())


def test_masking_follows_the_global_generator_alone() -> None:
    model, x = autoencoder(), torch.randn(4, 12, 60)
    torch.manual_seed(3)
    first, mask = model(x)
    torch.manual_seed(3)
    again, same = model(x)
    assert torch.equal(first, again)
    assert torch.equal(mask, same)
    assert not torch.equal(mask, model(x)[1])
    assert not torch.equal(mask[0], mask[1])


def test_hidden_patches_cannot_be_seen() -> None:
    model, x = autoencoder(), torch.randn(1, 12, 60)
    torch.manual_seed(5)
    prediction, mask = model(x)
    patches = model.encoder.patchify(x)
    changed = model.unpatchify(torch.where(mask[..., None], patches + 10.0, patches))
    torch.manual_seed(5)
    assert torch.equal(model(changed)[0], prediction)


def test_prediction_covers_crops_and_gradients_reach_all_parameters() -> None:
    model = autoencoder().train()
    prediction, mask = model(torch.randn(8, 12, 40))
    assert prediction.shape == (8, 8, 60)
    assert mask.shape == (8, 8)
    prediction.square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in model.parameters())


def test_autoencoder_learns_a_signal_that_repeats() -> None:
    torch.manual_seed(0)
    encoder = ViT(ECG, patch=(12, 10), width=32, depth=2, heads=2, drop_path=0.0)
    model = MaskedAutoencoder(encoder, mask_ratio=0.5, decoder_width=32, decoder_depth=1, decoder_heads=2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    time = torch.arange(60) / 10.0
    losses = []
    for _ in range(120):
        phase = 6.3 * torch.rand(32, 12, 1)
        x = torch.sin(6.283 * time + phase)
        loss = (model(x)[0] - model.encoder.patchify(x)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize(
    "options", [{"mask_ratio": 0.0}, {"mask_ratio": 1.0}, {"decoder_heads": 7}, {"decode_ratio": 0.0}]
)
def test_autoencoder_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        MaskedAutoencoder(small_vit(), **options)  # type: ignore[arg-type]


def test_the_permutation_of_the_decoder_has_the_gradient_of_gather() -> None:
    model, x = autoencoder(), torch.randn(3, 12, 60)
    masking = model.random_masking(model.encoder.patchify(x))
    tokens = torch.randn(3, 12, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 12, 5, dtype=torch.float64)
    index = masking.rank[..., None].expand_as(tokens)
    (expected,) = torch.autograd.grad((tokens.gather(1, index) * weight).sum(), tokens)
    permuted = _Permute.apply(tokens, masking.rank, masking.order)
    (got,) = torch.autograd.grad((permuted * weight).sum(), tokens)
    assert torch.equal(permuted, tokens.gather(1, index))
    assert torch.equal(got, expected)


def test_decoding_a_part_is_the_whole_where_nothing_else_can_be_attended_to() -> None:
    model = autoencoder(0.5).train()
    model.decode_ratio = 0.34
    for block in model.decoder_blocks:
        torch.nn.init.zeros_(block.attn.proj.weight)
    x = torch.randn(3, 12, 60)
    patches = model.encoder.patchify(x)
    masking = model.random_masking(patches)
    assert masking.decoded == 6 + 2
    predicted = masking.predicted
    assert predicted is not None
    assert predicted.sum(dim=1).tolist() == [8] * 3
    assert bool(predicted.gather(1, masking.visible).all())
    latent = model.forward_encoder(patches, masking)
    part, whole = (model.forward_decoder(latent, m) for m in (masking, replace(masking, decoded=None)))
    torch.testing.assert_close(part[predicted], whole[predicted])
    assert not bool(part[~predicted].any())
    assert model.eval().random_masking(patches).decoded is None
