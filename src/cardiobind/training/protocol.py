"""What the machine asks of a method, of data, of an order and of a progress display; it knows nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from cardiobind.training.settings import TrainingSettings

Outputs: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Step:
    """What one training step gives back.

    Attributes:
        loss: scalar to minimise.
        parts: the terms it is the sum of, for the log.
        logs: other scalars worth watching.
    """

    loss: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    logs: Mapping[str, Tensor] = field(default_factory=dict)


class BatchLike(Protocol):
    """A batch of subjects that can be moved to a device."""

    @property
    def size(self) -> int:
        """Number of subjects."""
        ...

    def to(self, device: Any) -> Any:
        """Return the batch with its tensors on `device`."""
        ...


class Source(Protocol):
    """Subjects that can be batched by position, such as `cardiobind.data.CohortDataset`."""

    def __len__(self) -> int:
        """Return the number of subjects."""
        ...

    def batch(self, indices: Sequence[int]) -> Any:
        """Return the batch of the subjects at these positions."""
        ...


class BatchOrder(Protocol):
    """Batches of positions whose order depends on nothing but the seed and the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that iteration gives."""
        ...

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's part of each batch of the epoch."""
        ...

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        ...


OrderFactory: TypeAlias = Callable[..., BatchOrder]
"""Called as ``factory(size, batch_size, seed=seed, rank=rank, world=world)``."""


class Method(Protocol):
    """One way of learning: a `torch.nn.Module` that says what one step computes and what validation measures.

    Attributes:
        modalities: those it reads.
        monitor: the validation value that chooses the best weights and stops early.
        higher_is_better: whether a larger `monitor` is better.
    """

    modalities: tuple[str, ...]
    monitor: str
    higher_is_better: bool

    def training_step(self, batch: Any) -> Step:
        """Return the loss of a batch; it may draw from torch's global generator, which is keyed to the step."""
        ...

    def evaluate_batch(self, batch: Any) -> Mapping[str, Tensor]:
        """Return what `summarise` needs of a batch: tensors that are concatenated over the validation set."""
        ...

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the validation values, `monitor` among them; one process calls it while the others wait."""
        ...

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the optimiser's groups: ``params``, ``lr`` and ``weight_decay``."""
        ...

    def usable(self, present: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Return which subjects the method can learn from, given which modalities each one has."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Set training mode, as `torch.nn.Module.train`."""
        ...

    def to(self, device: Any) -> Any:
        """Move the weights, as `torch.nn.Module.to`."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, as `torch.nn.Module.state_dict`."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Load the weights, as `torch.nn.Module.load_state_dict`."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Iterate over the weights, as `torch.nn.Module.named_parameters`."""
        ...


class Progress(Protocol):
    """A display of how far training is."""

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        """Show the state after `step` of `total` optimiser steps."""
        ...
