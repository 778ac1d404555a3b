"""The running average of a network's weights, for a teacher that changes slowly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class AveragedWeights(nn.Module):
    """An exponential moving average of the weights of a network.

    They are buffers: checkpoints hold them, no optimiser and no gradient reaches them. Running statistics are not
    averaged but copied, as they are averages already.

    Args:
        network: whose weights are averaged; it starts as their average.

    Source: Tarvainen and Valpola 2017 (mean teacher).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, tensor in _weights(network):
            self.register_buffer(_flat(name), tensor.detach().clone())

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """Move the average: `decay` of itself and ``1 - decay`` of the network as it is now.

        Args:
            network: of the same architecture.
            decay: in [0, 1]; 0 copies.
        """
        trained = {name for name, _ in network.named_parameters()}
        for name, tensor in _weights(network):
            held = self.get_buffer(_flat(name))
            if name in trained:
                held.lerp_(tensor.to(held.dtype), 1.0 - decay)
            else:
                held.copy_(tensor)

    @torch.no_grad()
    def apply_to(self, network: nn.Module, *inputs: Any) -> Tensor:
        """Return what the network, in the mode that it is in, computes of the inputs with the averaged weights.

        The network itself keeps its weights and statistics.
        """
        held = {name: self.get_buffer(_flat(name)).clone() for name, _ in _weights(network)}
        found: Tensor = functional_call(network, held, inputs)
        return found


def averaging_decay(step: int, decay: float) -> float:
    """Return how much of the average is kept at a step, counted from 0: the plain mean of the weights at first.

    Args:
        step: of the training.
        decay: that is reached and kept.

    Source: Tarvainen and Valpola 2017, published code.
    """
    return min(decay, 1.0 - 1.0 / (step + 1))


def _weights(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    persistent = network.state_dict().keys()
    yield from ((name, buffer) for name, buffer in network.named_buffers() if name in persistent)


def _flat(name: str) -> str:
    return name.replace(".", "/")
