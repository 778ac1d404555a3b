"""The layers of an encoder from input to output, for freezing the lower ones and for layer-wise learning rates."""

from __future__ import annotations

from torch import nn

from cardiobind.models import Encoder


def stages(encoder: nn.Module) -> list[list[nn.Module]]:
    """Return the modules that hold an encoder's weights, grouped into layers from input to output.

    A sequence of blocks counts block by block, an encoder inside another one layer by layer; a normalisation belongs to
    the layer before it. Weights that the encoder holds itself, such as embeddings of positions, belong to the first.

    Args:
        encoder: its children are registered in the order of computation.
    """
    found: list[list[nn.Module]] = []
    for child in encoder.children():
        for layer in stages(child) if isinstance(child, Encoder) else [[part] for part in _parts(child)]:
            parameters = [p for module in layer for p in module.parameters()]
            if not parameters:
                continue
            if found and all(p.ndim <= 1 for p in parameters):
                found[-1] += layer
            else:
                found.append(layer)
    own = list(encoder.parameters(recurse=False))
    if own:
        found[:1] = [[nn.ParameterList(own), *(found[0] if found else [])]]
    return found


def _parts(child: nn.Module) -> list[nn.Module]:
    return list(child.children()) if isinstance(child, nn.Sequential | nn.ModuleList) else [child]
