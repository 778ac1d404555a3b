"""The paper's autoencoder against one written with loops from the equations, and the names of public ECG weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_models_vit import Array, slow_attention, slow_layer_norm, slow_mlp, slow_position
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.methods import Masked
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MaskedAutoencoder, ViT, load_weights, parameter_count
from cardiobind.models.mae import Masking
from cardiobind.objectives import masked_reconstruction

SMALL = InputSpec("ecg", (3, 40), rate_hz=100.0)
FULL = InputSpec("ecg", (12, 5000), rate_hz=500.0)


def slow_block(x: Array, w: dict[str, Array], b: str, heads: int) -> Array:
    x = x + slow_attention(slow_layer_norm(x, w[b + "norm1.weight"], w[b + "norm1.bias"]), w, b + "attn.", heads)
    return x + slow_mlp(slow_layer_norm(x, w[b + "norm2.weight"], w[b + "norm2.bias"]), w, b + "mlp.")


def slow_autoencoder(mae: MaskedAutoencoder, signal: Array, visible: list[int]) -> tuple[Array, Array]:
    """Return the predicted and the true patches (N, patch) of one ECG (leads, T), of which some patches are visible."""
    w = {name: value.double().numpy() for name, value in mae.state_dict().items()}
    h, wd = mae.encoder.patch
    places = [(r, c) for r in range(signal.shape[0] // h) for c in range(signal.shape[1] // wd)]
    patches = [signal[r * h : (r + 1) * h, c * wd : (c + 1) * wd].ravel() for r, c in places]
    kernel, shift = w["encoder.patch_embed.proj.weight"], w["encoder.patch_embed.proj.bias"]
    encoded = {}
    x = np.array([
        np.array([(kernel[o].ravel() * patches[i]).sum() for o in range(len(kernel))]) + shift
        + slow_position(*places[i], mae.encoder.width)
        for i in visible
    ])  # fmt: skip
    for i in range(len(mae.encoder.blocks)):
        x = slow_block(x, w, f"encoder.blocks.{i}.", mae.encoder.blocks[i].attn.heads)
    x = slow_layer_norm(x, w["encoder.norm.weight"], w["encoder.norm.bias"])
    for i, token in zip(visible, x, strict=True):
        encoded[i] = w["decoder_embed.weight"] @ token + w["decoder_embed.bias"]
    width = len(w["mask_token"])
    y = np.array([encoded.get(i, w["mask_token"]) + slow_position(*places[i], width) for i in range(len(patches))])
    for i in range(len(mae.decoder_blocks)):
        y = slow_block(y, w, f"decoder_blocks.{i}.", mae.decoder_blocks[i].attn.heads)
    y = slow_layer_norm(y, w["decoder_norm.weight"], w["decoder_norm.bias"])
    return y @ w["decoder_pred.weight"].T + w["decoder_pred.bias"], np.array(patches)


def slow_loss(predicted: Array, true: Array, shape: tuple[int, int], patch: tuple[int, int]) -> float:
    """0.9 x MSE over all patches + 0.1 x (1 - mean over the leads of Pearson's correlation over time)."""
    error = np.mean([np.mean((p - t) ** 2) for p, t in zip(predicted, true, strict=True)])
    signals = []
    for patches in (predicted, true):
        signal, columns = np.zeros(shape), shape[1] // patch[1]
        for i, cell in enumerate(patches):
            r, c = divmod(i, columns)
            signal[r * patch[0] : (r + 1) * patch[0], c * patch[1] : (c + 1) * patch[1]] = cell.reshape(patch)
        signals.append(signal)
    ncc = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*signals, strict=True)])
    return float(0.9 * error + 0.1 * (1.0 - ncc))


@pytest.mark.parametrize("patch", [(1, 10), (3, 20)])
def test_the_autoencoder_and_its_loss_are_the_slow_ones(patch: tuple[int, int]) -> None:
    torch.manual_seed(0)
    vit = ViT(SMALL, patch=patch, width=16, depth=2, heads=2)
    method = Masked(vit, mask_ratio=0.5, decoder_width=12, decoder_depth=2, decoder_heads=3, crop_s=None).eval()
    mae = method.mae
    for parameter in method.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x = torch.randn(2, 3, 40)
    patches = vit.patchify(x)
    masking = mae.random_masking(patches)
    prediction = mae.forward_decoder(mae.forward_encoder(patches, masking), masking)
    correlation = method.correlation(prediction, patches, None)
    losses = []
    for subject in range(2):
        visible = masking.visible[subject].tolist()
        predicted, true = slow_autoencoder(mae, x[subject].double().numpy(), visible)
        np.testing.assert_allclose(prediction[subject].detach().numpy(), predicted, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(patches[subject].numpy(), true, atol=1e-6)
        losses.append(slow_loss(predicted, true, (3, 40), patch))
    loss = masked_reconstruction(prediction, patches, correlation, correlation_weight=0.1)
    assert float(loss.detach()) == pytest.approx(np.mean(losses), rel=1e-4)
    assert 1 <= masking.visible.shape[1] == round(patches.shape[1] * 0.5)


def test_the_order_of_the_visible_patches_does_not_matter() -> None:
    torch.manual_seed(0)
    mae = MaskedAutoencoder(ViT(SMALL, patch=(1, 10), width=16, depth=1, heads=2), decoder_width=12, decoder_heads=3)
    mae.eval()
    patches = torch.randn(1, 12, 10)
    order = torch.randperm(12)[None]
    other = torch.cat([order[:, :4].flip(1), order[:, 4:]], dim=1)
    found = []
    for one in (order, other):
        rank = one.argsort(dim=1)
        masking = Masking(one[:, :4], one, rank, rank >= 4)
        found.append(mae.forward_decoder(mae.forward_encoder(patches, masking), masking))
    torch.testing.assert_close(*found)


def published(width: int = 384, depth: int = 3, patch: tuple[int, int] = (1, 100)) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the ECG encoder in public code of the group (oetu/MMCL-ECG-CMR, ECGEncoder), by timm.

    It has a class token, learnable positions, and for attention pooling PyTorch's attention and a norm behind it.
    """
    tokens = 12 * 2500 // (patch[0] * patch[1])
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width), "pos_embed": (1, tokens + 1, width),
        "patch_embed.proj.weight": (width, 1, *patch), "patch_embed.proj.bias": (width,),
        "norm.weight": (width,), "norm.bias": (width,), "fc_norm.weight": (width,), "fc_norm.bias": (width,),
        "attention_pool.in_proj_weight": (3 * width, width), "attention_pool.in_proj_bias": (3 * width,),
        "attention_pool.out_proj.weight": (width, width), "attention_pool.out_proj.bias": (width,),
    }  # fmt: skip
    matrices = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
    for block in (f"blocks.{i}." for i in range(depth)):
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}{norm}.weight": (width,), f"{block}{norm}.bias": (width,)}
        for name, (out, into) in matrices.items():
            shapes |= {f"{block}{name}.weight": (out * width, into * width), f"{block}{name}.bias": (out * width,)}
    return shapes


BESIDE = ("cls_token", "pos_embed", "attention_pool.", "fc_norm.")
"""What the public encoder has beside the blocks: our ViT has no class token, fixed positions, and pools elsewhere."""


def public_file() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {f"signal_encoder.{name}": torch.randn(shape) for name, shape in published().items()}


def test_the_paper_vit_has_the_names_and_shapes_of_public_weights() -> None:
    own = {name: tuple(value.shape) for name, value in ViT(FULL).state_dict().items()}
    assert own == {name: shape for name, shape in published().items() if not name.startswith(BESIDE)}
    assert parameter_count(ViT(FULL)) == sum(int(np.prod(shape)) for shape in own.values())


def test_public_weights_load_and_are_used() -> None:
    vit, state = ViT(FULL), public_file()
    load_weights(vit, state, prefix="signal_encoder.", ignore=BESIDE)
    for name, value in vit.state_dict().items():
        torch.testing.assert_close(value, state[f"signal_encoder.{name}"])
    patches = vit.patchify(torch.randn(1, 12, 2500))
    kernel = state["signal_encoder.patch_embed.proj.weight"].flatten(1)
    torch.testing.assert_close(
        vit.patch_embed(patches), F.linear(patches, kernel, state["signal_encoder.patch_embed.proj.bias"])
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("signal_encoder.blocks.2.mlp.fc2.bias"), "blocks.2.mlp.fc2.bias"),
        (lambda s: s.update({"signal_encoder.blocks.3.norm1.bias": torch.zeros(384)}), "blocks.3.norm1.bias"),
        (
            lambda s: s.update({"signal_encoder.patch_embed.proj.weight": torch.zeros(384, 1, 1, 50)}),
            r"patch_embed.proj.weight \(384, 1, 1, 50\) instead of \(384, 1, 1, 100\)",
        ),
        (lambda s: s.clear(), "patch_embed.proj.weight"),
    ],
)
def test_wrong_or_partial_public_weights_are_named_and_nothing_is_loaded(change: object, named: str) -> None:
    vit, state = ViT(FULL), public_file()
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    change(state)  # type: ignore[operator]
    with pytest.raises(InputError, match=named):
        load_weights(vit, state, prefix="signal_encoder.", ignore=BESIDE)
    for name, value in vit.state_dict().items():
        assert torch.equal(value, before[name])


def test_public_weights_with_a_class_token_are_not_loaded_by_accident() -> None:
    with pytest.raises(InputError, match="cls_token"):
        load_weights(ViT(FULL), public_file(), prefix="signal_encoder.")
