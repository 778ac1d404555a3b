"""The loop itself, run by the Lightning Trainer: the only module that imports lightning."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cardiobind import rng
from cardiobind.errors import TrainingError
from cardiobind.training.checkpoints import save_checkpoint
from cardiobind.training.determinism import seed_torch
from cardiobind.training.history import Row, RunLog
from cardiobind.training.optimiser import build_optimiser, clip_gradient, set_learning_rate
from cardiobind.training.precision import choose_precision
from cardiobind.training.protocol import BatchOrder, Method, Progress, Source
from cardiobind.training.rounds import Plan, RoundBatches, Rounds
from cardiobind.training.settings import TrainingSettings, learning_rate_factor

_PROGRESS_INTERVAL_S = 0.1
_PREFIX = "method."


class Engine:
    """One run of a method, in this process.

    Args:
        method: what a step computes.
        settings: of the run.
        plan: steps and rounds.
        rounds: what earlier rounds left.
        seed: of order, masks and augmentations.
        work: folder for checkpoints and logs.
        title: of the progress display.
        identity: what the run is, for the checkpoints.
    """

    def __init__(
        self, method: Method, settings: TrainingSettings, plan: Plan, rounds: Rounds, *, seed: int, work: Path,
        title: str, identity: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.method, self.settings, self.plan, self.rounds = method, settings, plan, rounds
        self.seed, self.work, self.title, self.identity = seed, work, title, identity

    def run(
        self, train: Source, validation: Source | None, order: BatchOrder, state: Mapping[str, Any] | None,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        """Make the rounds that are left.

        Args:
            train: training subjects.
            validation: validation subjects, or None.
            order: of the training batches.
            state: of the checkpoint to go on from, or None.
            progress: a display, or None.
        """
        if state is not None:
            weights = {k.removeprefix(_PREFIX): v for k, v in state["state_dict"].items()}
            self.method.load_state_dict(weights)
        left = self.plan.rounds - self.rounds.done
        if left <= 0 or self.rounds.history.stopped_early:
            return
        log = RunLog(self.work, self.rounds.history.rows)
        try:
            with _quiet(), _interruptible():
                loop = _Loop(self, log, progress, state)
                trainer = _trainer(self.settings, left, self.work, validates=validation is not None)
                trainer.fit(loop, datamodule=_Data(self, train, validation, order))
        finally:
            log.close()


class _Loop(lightning.LightningModule):
    """The hooks of the Trainer, in the order in which they are called."""

    def __init__(self, engine: Engine, log: RunLog, progress: Progress | None, state: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.method: Any = engine.method
        self._engine, self._log, self._progress, self._state = engine, log, progress, state
        self._step = engine.plan.steps(engine.rounds.done).start
        self._first_step = self._step
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._buffers_before: list[tuple[Tensor, Tensor]] = []
        self._outputs: list[Mapping[str, Tensor]] = []
        self._validation: dict[str, float] = {}
        self._started_s = self._shown_s = self._saved_s = self._counted_s = time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self._engine.settings
        return build_optimiser(self.method.parameter_groups(settings), settings)

    def on_train_start(self) -> None:
        if self._state is not None:
            self.trainer.optimizers[0].load_state_dict(self._state["optimizer_states"][0])

    def on_train_epoch_start(self) -> None:
        self.method.train()
        self._sums = {}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch.to(device)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        epoch, position = self._engine.plan.place(self._step)
        factor = learning_rate_factor(self._step, self._engine.plan.total, self._engine.settings)
        set_learning_rate(self.trainer.optimizers[0], factor)
        seed_torch(rng.integer(self._engine.seed, "step", epoch, position))
        self._buffers_before = [(buffer, buffer.clone()) for buffer in self.method.buffers()]
        step = self.method.training_step(batch)
        self._require_finite(step.loss.detach(), "loss")
        self._count("train_loss", step.loss)
        for name, value in (*step.parts.items(), *step.logs.items()):
            self._count(f"train_{name}", value)
        loss: Tensor = step.loss
        return loss

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        norm = clip_gradient(self.method.parameters(), self._engine.settings.clip_norm)
        self._require_finite(norm, "gradient")
        self._count("gradient_norm", norm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._step += 1
        self._show(float(outputs["loss"]))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        seed_torch(rng.integer(self._engine.seed, "validation", batch_idx))
        self._outputs.append(self.method.evaluate_batch(batch))

    def on_validation_epoch_end(self) -> None:
        self._validation = self.method.summarise(concatenate(self._outputs))
        self._outputs = []

    def on_train_epoch_end(self) -> None:
        rounds = self._engine.rounds
        rounds.end(self._row(), self.method.state_dict())
        self._log.add(rounds.history.rows)
        now = time.monotonic()
        rounds.history.seconds += now - self._counted_s
        self._counted_s = now
        self.trainer.should_stop = rounds.history.stopped_early
        ends = rounds.history.stopped_early or rounds.done == self._engine.plan.rounds
        if ends or now - self._saved_s >= self._engine.settings.checkpoint_interval_s:
            self._save()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rounds"] = self._engine.rounds.state_dict()

    def _require_finite(self, value: Tensor, what: str) -> None:
        if not math.isfinite(value.item()):
            for buffer, before in self._buffers_before:
                buffer.copy_(before)
            epoch, position = self._engine.plan.place(self._step)
            raise TrainingError(
                f"the {what} is not finite; the weights are those before this step",
                where=f"{self._engine.title}, step {self._step + 1} (epoch {epoch + 1}, batch {position + 1})",
                expected="a finite number", got=value.item(),
                hint="look at the data of this batch, or lower the learning rate or clip the gradient",
            )  # fmt: skip

    def _count(self, name: str, value: Tensor) -> None:
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = (total + value.detach().float(), count + 1)

    def _row(self) -> Row:
        epochs = self._step / self._engine.plan.steps_per_epoch
        row: Row = {"round": self._engine.rounds.done + 1, "step": self._step, "epoch": epochs}
        row["learning_rate"] = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        row |= {name: float(total) / count for name, (total, count) in self._sums.items()}
        return row | {f"validation_{name}": float(value) for name, value in self._validation.items()}

    def _show(self, loss: float) -> None:
        now, total = time.monotonic(), self._engine.plan.total
        if self._progress is None or (now - self._shown_s < _PROGRESS_INTERVAL_S and self._step < total):
            return
        self._shown_s = now
        seconds_left = (now - self._started_s) / (self._step - self._first_step) * (total - self._step)
        self._progress.update(self._engine.title, self._step, total, loss, seconds_left)

    def _save(self) -> None:
        save_checkpoint(
            self._engine.work / "checkpoints", self._engine.rounds.done, self.trainer.save_checkpoint,
            identity=self._engine.identity, keep=self._engine.settings.checkpoints_kept,
        )  # fmt: skip
        self._saved_s = time.monotonic()


class _Data(lightning.LightningDataModule):
    """Loaders of one round each."""

    def __init__(self, engine: Engine, train: Source, validation: Source | None, order: BatchOrder) -> None:
        super().__init__()
        self._engine, self._train, self._validation, self._order = engine, train, validation, order

    def train_dataloader(self) -> DataLoader[Any]:
        batches = RoundBatches(self._order, self._engine.plan, self._engine.rounds.done)
        return self._loader(self._train, batches)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        if self._validation is None:
            return []
        return [self._loader(self._validation, _chunks(len(self._validation), self._engine.settings.batch_size))]

    def _loader(self, source: Source, batches: Any) -> DataLoader[Any]:
        workers = self._engine.settings.data_workers
        return DataLoader(
            _Batches(source), batch_sampler=batches, collate_fn=_identity, num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
        )  # fmt: skip


class _Batches(torch.utils.data.Dataset[Any]):
    def __init__(self, source: Source) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self._source.batch(indices)


def concatenate(outputs: Sequence[Mapping[str, Tensor]]) -> dict[str, NDArray[Any]]:
    """Join the outputs of `evaluate_batch` along their first axis; a scalar counts as one entry."""
    return {
        name: np.concatenate([np.atleast_1d(o[name].detach().float().cpu().numpy()) for o in outputs if name in o])
        for name in dict.fromkeys(name for o in outputs for name in o)
    }


def _identity(batch: Any) -> Any:
    return batch


def _chunks(size: int, batch_size: int) -> list[list[int]]:
    return [list(range(i, min(size, i + batch_size))) for i in range(0, size, batch_size)]


def _trainer(settings: TrainingSettings, rounds: int, work: Path, *, validates: bool) -> lightning.Trainer:
    precision = choose_precision(settings.precision, settings.accelerator)
    return lightning.Trainer(
        max_epochs=rounds, accelerator=settings.accelerator, devices=1, precision=precision.name,
        plugins=[LightningEnvironment()], use_distributed_sampler=False, num_sanity_val_steps=0,
        limit_val_batches=None if validates else 0, reload_dataloaders_every_n_epochs=1, default_root_dir=work,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt, which Lightning turns into an exit and ignores from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise exit_.__context__ from None
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's banners and its advice on loaders out of the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
