"""A sum over subjects whose parts are differentiated one by one, so that only one part's activations are held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Part = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""Of the inputs of some subjects and their rows: what is to be minimised, and a value to log, both added over parts."""


def pays(inputs: Tensor) -> bool:
    """Return whether gradients are asked for in half precision on a CPU.

    There smaller products run faster, because they stay in the cache. In float32 sums in another order would change
    published numbers in their last bits.
    """
    return torch.is_grad_enabled() and inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def added_in_parts(part: Part, inputs: Tensor, parameters: Sequence[Tensor], size: int) -> tuple[Tensor, Tensor]:
    """Return the sums of what `part` returns over parts of the batch; the first can be differentiated, once.

    Args:
        part: of rows of `inputs`; it may depend on `parameters` and on nothing else that learns.
        inputs: (B, ...).
        parameters: that `part` uses.
        size: rows of a part.

    Source: the gradient of a sum is the sum of the gradients; gradients that are taken in the forward pass are those of
    chunked cross entropies (Hsu et al. 2024, arXiv 2410.10989).
    """
    total, logged = _AddedInParts.apply(part, size, inputs, *parameters)  # type: ignore[no-untyped-call]
    return total, logged


class _AddedInParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Part, size: int, inputs: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        learning = [p for p in parameters if p.requires_grad]
        of_inputs, of_parameters = torch.empty_like(inputs), [torch.zeros_like(p) for p in learning]
        totals = torch.zeros(2, device=inputs.device)
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            own = inputs[rows].detach().requires_grad_()
            with torch.enable_grad(), _uncached():
                value, logged = part(own, rows)
                found = torch.autograd.grad(value, (own, *learning), allow_unused=True, materialize_grads=True)
            of_inputs[rows] = found[0]
            for gradient, more in zip(of_parameters, found[1:], strict=True):
                gradient.add_(more)
            totals += torch.stack([value.detach().float(), logged.detach().float()])
        ctx.learning = [p.requires_grad for p in parameters]
        ctx.save_for_backward(of_inputs, *of_parameters)
        total, logged = (x.clone() for x in totals)
        ctx.mark_non_differentiable(logged)
        return total, logged

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_inputs, *of_parameters = (found * gradients[0] for found in ctx.saved_tensors)
        rest = iter(of_parameters)
        return None, None, of_inputs, *(next(rest) if learns else None for learns in ctx.learning)


def _uncached() -> torch.autocast:
    # A weight that autocast keeps in half precision would sum the gradients of all parts in half precision too.
    kind = torch.get_autocast_dtype("cpu")
    return torch.autocast("cpu", kind, enabled=torch.is_autocast_enabled("cpu"), cache_enabled=False)
