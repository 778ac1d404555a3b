"""The layers of an encoder from input to output, for freezing the lower ones and for layer-wise learning rates."""

from __future__ import annotations

from torch import nn

from cardiobind.errors import ConfigError

_HINT = "hold every weight in a child module"


def stages(encoder: nn.Module) -> list[list[nn.Module]]:
    """Return the modules that hold an encoder's weights, grouped into layers from input to output.

    A sequence of blocks counts block by block; a normalisation belongs to the layer before it.

    Args:
        encoder: its children are registered in the order of computation, and hold all of its weights.

    Raises:
        ConfigError: the encoder holds a weight outside its children.
    """
    if next(encoder.parameters(recurse=False), None) is not None:
        raise ConfigError("the layers of this encoder are not known", where=type(encoder).__name__, hint=_HINT)
    found: list[list[nn.Module]] = []
    for child in encoder.children():
        for module in child.children() if isinstance(child, nn.Sequential | nn.ModuleList) else (child,):
            parameters = list(module.parameters())
            if not parameters:
                continue
            if found and all(p.ndim <= 1 for p in parameters):
                found[-1].append(module)
            else:
                found.append([module])
    return found
