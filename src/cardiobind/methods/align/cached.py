"""Large batches in little memory: the batch goes through a network in chunks, whose activations are computed twice.

The first pass keeps the embeddings alone. Once the loss of the whole batch has given their gradients, each chunk is
computed again, with the state of the random numbers it had, and passes its gradient on before the next one is.

Source: Gao et al. 2021 (GradCache, arXiv 2101.06983); the second pass is torch's checkpointing of each chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from cardiobind.errors import ConfigError


def in_chunks(network: Callable[[Tensor], Tensor], x: Tensor, size: int | None) -> Tensor:
    """Return ``network(x)``, computed and differentiated `size` rows at a time; None for all at once.

    Args:
        network: maps each row for itself; with batch norm the result would be another.
        x: (n, ...).
        size: rows of a chunk.
    """
    if size is None or len(x) <= size or not torch.is_grad_enabled():
        return network(x)
    return torch.cat([checkpoint(network, part, use_reentrant=False) for part in torch.split(x, size)])


def chunk_sizes(networks: Mapping[str, nn.Module], size: int | None) -> dict[str, int | None]:
    """Return the chunk of each network: None for those with batch norm, which needs the whole batch to stay exact.

    Raises:
        ConfigError: the size is not positive, or all networks have batch norm.
    """
    if size is None:
        return dict.fromkeys(networks)
    cut = {name: None if has_batch_norm(network) else size for name, network in networks.items()}
    if size < 1 or not any(cut.values()):
        raise ConfigError(
            "this chunk cannot be kept", where="chunk", expected="at least 1, and an encoder without batch norm",
            got=size, hint="ViTs have none; ResNets and the tabular perceptron do, and are not cut",
        )  # fmt: skip
    return cut


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether a row's output depends on the other rows of a training batch, by batch norm."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())
