"""Loading of weights that never leaves a parameter random in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import InputError

SHOWN = 8
COUNTS = ".num_batches_tracked"
WRAPPERS = ("module.", "encoder.", "model.", "backbone.", "_orig_mod.", "state_dict.")


def parameter_count(module: nn.Module) -> int:
    """Return the number of trainable scalars."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def load_weights(
    module: nn.Module, state: Mapping[str, Tensor], *, prefix: str = "", ignore: Sequence[str] = ()
) -> None:
    """Load all weights of a module, or none; counts of batches (``num_batches_tracked``) may lack, as in older files.

    Args:
        module: what to fill.
        state: tensors by name.
        prefix: take the entries under it and strip it, such as ``"encoder."`` out of a masked autoencoder.
        ignore: beginnings of names in `state` to leave out on purpose, such as ``"fc."``.

    Raises:
        InputError: names are missing, unexpected or of another shape; the message lists them and suggests a cause.
    """
    found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    found = {name: value for name, value in found.items() if not name.startswith(tuple(ignore))}
    own = module.state_dict()
    missing = [name for name in own if name not in found and not name.endswith(COUNTS)]
    unexpected = [name for name in found if name not in own]
    mismatched = [name for name in own if name in found and own[name].shape != found[name].shape]
    if missing or unexpected or mismatched:
        shapes = [f"{n} {tuple(found[n].shape)} instead of {tuple(own[n].shape)}" for n in mismatched]
        lists = {"missing": missing, "unexpected": unexpected, "mismatched": shapes}
        raise InputError(
            "the weights do not fit the network; nothing was loaded",
            where=type(module).__name__,
            got="; ".join(f"{len(names)} {title}: {_some(names)}" for title, names in lists.items() if names),
            hint=_cause(missing, unexpected, mismatched),
        )
    module.load_state_dict({**own, **found}, strict=True)


def spread_channels(kernel: Tensor, channels: int) -> Tensor:
    """Return the kernels of a first convolution for another number of channels, such as public ones of three colours.

    Channels are repeated in turn and scaled by old over new number, so that an image whose channels are alike gives the
    same features where one number divides the other, and nearly the same elsewhere.

    Args:
        kernel: (outputs, channels, height, width).
        channels: how many are wanted.

    Source: Carreira and Zisserman 2017 (inflation of kernels), here over moments of a beat and slices.
    """
    turns = torch.arange(channels, device=kernel.device) % kernel.shape[1]
    return kernel[:, turns] * (kernel.shape[1] / channels)


def resized_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return learned positions of images of another size, by bicubic interpolation; a class token's is left out.

    Args:
        positions: (1, N, width) of a square grid of patches, row by row, or (1, 1 + N, width) with a class token first.
        grid: rows and columns of patches that are wanted.

    Raises:
        InputError: the patches are no square.

    Source: Dosovitskiy et al. 2021, section 3.2.
    """
    count, width = positions.shape[1:]
    side = math.isqrt(count)
    if count - side * side not in (0, 1) or side < 1:
        raise InputError("the positions are not of a square of patches", where="pos_embed", got=tuple(positions.shape))
    cells = positions[:, count - side * side :].reshape(1, side, side, width)
    if (side, side) != tuple(grid):
        image = cells.permute(0, 3, 1, 2)
        cells = F.interpolate(image, grid, mode="bicubic", antialias=True).permute(0, 2, 3, 1)
    return cells.flatten(1, 2)


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _cause(missing: Sequence[str], unexpected: Sequence[str], mismatched: Sequence[str]) -> str:
    for wrapper in WRAPPERS:
        if any(wrapper + name in unexpected for name in missing):
            return f"the names are wrapped: pass prefix={wrapper!r}"
        if any(wrapper + name in missing for name in unexpected):
            return f"the weights are of the part {wrapper!r} of this network: load them into that part"
    if not missing and any(name == "pos_embed" for name in unexpected):
        return "the file has learned positions: build the ViT with positions='learned', and ignore 'cls_token'"
    if not missing and list(mismatched) == ["pos_embed"]:
        return "other positions, or a class token's beside them: weights = { positions = 'interpolate' }"
    if not missing and not mismatched:
        parts = sorted({name.split(".")[0] + "." for name in unexpected})
        return f"the file holds more than the network: pass ignore={tuple(parts)} if that is meant"
    if mismatched and not missing and not unexpected:
        return "same architecture in another size: build it with the options the weights were trained under"
    return "another architecture, depth or option: build the network that the weights were trained as"
