"""The loop itself, run by the Lightning Trainer: the only module that imports lightning as a whole."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cardiobind import rng
from cardiobind.errors import TrainingError
from cardiobind.training.batch_norm import joint_batch_norm
from cardiobind.training.checkpoints import save_checkpoint
from cardiobind.training.determinism import seed_torch
from cardiobind.training.history import Row, RunLog
from cardiobind.training.loaders import loader
from cardiobind.training.optimiser import build_optimiser, clip_gradient, set_learning_rate
from cardiobind.training.precision import choose_precision
from cardiobind.training.processes import Team, data_group, environment_of
from cardiobind.training.protocol import BatchOrder, Method, Progress, Source
from cardiobind.training.rounds import Plan, RoundBatches, Rounds
from cardiobind.training.settings import TrainingSettings, learning_rate_factor
from cardiobind.training.stopping import Stopped, StopRequest, stop_requests

log = logging.getLogger(__name__)

_PROGRESS_INTERVAL_S = 0.1
_PREFIX = "method."
_SAVES_COST = 20.0
"""Within a round a checkpoint waits until training has taken this many times as long as writing the last one."""

Sums = dict[str, tuple[Tensor, int]]


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
        team: the processes that train together.
    """

    def __init__(
        self, method: Method, settings: TrainingSettings, plan: Plan, rounds: Rounds, *, seed: int, work: Path,
        title: str, identity: Mapping[str, Any], team: Team,
    ) -> None:  # fmt: skip
        self.method, self.settings, self.plan, self.rounds = method, settings, plan, rounds
        self.seed, self.work, self.title, self.identity, self.team = seed, work, title, identity, team

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
        log = RunLog(self.work, self.rounds.history.rows) if self.team.leads else None
        try:
            with _quiet(), stop_requests() as stop, self._joint_batch_norm(), _interruptible():
                loop = _Loop(self, log, progress if self.team.leads else None, state, stop)
                trainer = _trainer(
                    self.settings, self.team, left, self.work, validates=validation is not None,
                    may_lack=len(self.method.modalities) > 1,
                )  # fmt: skip
                data = loop.data = _Data(self, train, validation, order, first_step=loop.first_step)
                _fit_or_stop(trainer, loop, data, stop)
        finally:
            if log is not None:
                log.close()

    def _joint_batch_norm(self) -> AbstractContextManager[None]:
        """With one modality every process calls every batch norm; with several, one of them may lack a modality."""
        module: Any = self.method
        return joint_batch_norm(module, joint=self.team.world > 1 and len(self.method.modalities) == 1)


class _Loop(lightning.LightningModule):
    """The hooks of the Trainer, in the order in which they are called."""

    def __init__(
        self, engine: Engine, log: RunLog | None, progress: Progress | None, state: Mapping[str, Any] | None,
        stop: StopRequest,
    ) -> None:  # fmt: skip
        super().__init__()
        self.method: Any = engine.method
        self._engine, self._log, self._progress, self._state = engine, log, progress, state
        self._stop = stop
        self.data: Any = None
        partial = (state or {}).get("partial") or {"step": engine.plan.steps(engine.rounds.done).start, "sums": {}}
        self.first_step = self._step = int(partial["step"])
        self._sums: Sums = {}
        self._sums_before: Sums = partial["sums"] if engine.team.leads else {}
        self._partial: dict[str, Any] | None = None
        self._buffers_before: list[tuple[Tensor, Tensor]] = []
        self._outputs: dict[int, Mapping[str, Tensor]] = {}
        self._validation: dict[str, float] = {}
        self._stops = self._saves = False
        self._started_s = self._shown_s = self._saved_s = self._counted_s = time.monotonic()
        self._saving_s = 0.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self._engine.settings
        return build_optimiser(self.method.parameter_groups(settings), settings)

    def on_train_start(self) -> None:
        if self._state is not None:
            self.trainer.optimizers[0].load_state_dict(self._state["optimizer_states"][0])
        self._stop.install()  # Lightning has its own handler of SIGTERM, which may wait for ever

    def on_train_epoch_start(self) -> None:
        self.method.train()
        self._sums, self._sums_before = self._sums_before, {}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch.to(device)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        epoch, position = self._engine.plan.place(self._step)
        factor = learning_rate_factor(self._step, self._engine.plan.total, self._engine.settings)
        set_learning_rate(self.trainer.optimizers[0], factor)
        seed_torch(rng.integer(self._engine.seed, "step", epoch, position, *self._engine.team.keys))
        self._buffers_before = [(buffer, buffer.clone()) for buffer in self.method.buffers()]
        step = self.method.training_step(batch)
        loss = self._agree(step.loss.detach())
        self._require_finite(loss, "loss")
        self._count("train_loss", loss)
        for name, value in (*step.parts.items(), *step.logs.items()):
            self._count(f"train_{name}", value)
        own: Tensor = step.loss
        return own

    def _agree(self, loss: Tensor) -> Tensor:
        """Return the mean loss of all processes, and agree whether to save or to stop after this step."""
        team, asked = self._engine.team, self._stop.signal is not None
        if team.world == 1:
            self._stops, self._saves = asked, self._due(within_round=True)
            return loss
        saves = team.leads and self._due(within_round=True)
        total = team.total(torch.stack([loss.float(), loss.new_tensor(asked).float(), loss.new_tensor(saves).float()]))
        self._stops, self._saves = bool(total[1] > 0), bool(total[2] > 0)
        return total[0] / team.world

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        norm = clip_gradient(self.method.parameters(), self._engine.settings.clip_norm)
        self._require_finite(norm, "gradient")
        self._count("gradient_norm", norm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._step += 1
        self._show(float(outputs["loss"]))
        ends_round = self._step == self._engine.plan.steps(self._engine.rounds.done).stop
        if not ends_round and (self._stops or self._saves):
            self._save(within_round=True)
            self._stop_if_asked()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        chunk = self.data.chunks[batch_idx]
        seed_torch(rng.integer(self._engine.seed, "validation", chunk))
        outputs = self.method.evaluate_batch(batch)
        self._outputs[chunk] = {name: value.detach().float().cpu() for name, value in outputs.items()}

    def on_validation_epoch_end(self) -> None:
        team, found = self._engine.team, self._engine.team.gather(self._outputs)
        self._validation = team.tell(self._summarise(found) if team.leads else {})
        self._outputs = {}

    def _summarise(self, found: Sequence[Mapping[int, Mapping[str, Tensor]]]) -> dict[str, float]:
        chunks = {index: outputs for part in found for index, outputs in part.items()}
        values: dict[str, float] = self.method.summarise(concatenate([chunks[index] for index in sorted(chunks)]))
        return {name: float(value) for name, value in values.items()}

    def on_train_epoch_end(self) -> None:
        engine, rounds = self._engine, self._engine.rounds
        sums, asked = self._joint_sums(), any(engine.team.gather(self._stop.signal is not None))
        row, due, self._stops = engine.team.tell((self._row(sums), self._due(within_round=False), asked))
        rounds.end(row, self.method.state_dict())
        if self._log is not None:
            self._log.add(rounds.history.rows)
        now = time.monotonic()
        rounds.history.seconds += now - self._counted_s
        self._counted_s = now
        self.trainer.should_stop = rounds.history.stopped_early
        if rounds.history.stopped_early or rounds.done == engine.plan.rounds or due or self._stops:
            self._save(within_round=False)
        self._stop_if_asked()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["rounds"] = self._engine.rounds.state_dict()
        checkpoint["partial"] = self._partial

    def _stop_if_asked(self) -> None:
        if self._stops and self._engine.team.leads:
            log.warning("%s: stopped after step %d, which is saved", self._engine.title, self._step)
        if self._stops:
            raise Stopped

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

    def _joint_sums(self) -> Sums:
        """Return the sums over the steps of the round, of all processes; to those that do not lead, nothing."""
        joint: Sums = {}
        for own in self._engine.team.gather({name: (total.cpu(), n) for name, (total, n) in self._sums.items()}):
            for name, (total, count) in own.items():
                joint[name] = (joint[name][0] + total, joint[name][1] + count) if name in joint else (total, count)
        return joint

    def _row(self, sums: Sums) -> Row:
        epochs = self._step / self._engine.plan.steps_per_epoch
        row: Row = {"round": self._engine.rounds.done + 1, "step": self._step, "epoch": epochs}
        row["learning_rate"] = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        row |= {name: float(total) / count for name, (total, count) in sums.items()}
        return row | {f"validation_{name}": value for name, value in self._validation.items()}

    def _show(self, loss: float) -> None:
        now, total = time.monotonic(), self._engine.plan.total
        if self._progress is None or (now - self._shown_s < _PROGRESS_INTERVAL_S and self._step < total):
            return
        self._shown_s = now
        seconds_left = (now - self._started_s) / (self._step - self.first_step) * (total - self._step)
        self._progress.update(self._engine.title, self._step, total, loss, seconds_left)

    def _due(self, *, within_round: bool) -> bool:
        since, interval = time.monotonic() - self._saved_s, self._engine.settings.checkpoint_interval_s
        return since >= interval and (not within_round or (interval > 0 and since >= _SAVES_COST * self._saving_s))

    def _save(self, *, within_round: bool) -> None:
        began, engine = time.monotonic(), self._engine
        self._partial = {"step": self._step, "sums": self._joint_sums()} if within_round else None
        if engine.team.leads:
            save_checkpoint(
                engine.work / "checkpoints", engine.rounds.done, self.trainer.save_checkpoint, identity=engine.identity,
                keep=engine.settings.checkpoints_kept, step=self._step if within_round else None,
            )  # fmt: skip
        else:
            self.trainer.save_checkpoint(engine.work / "written by the leader")
        self._saved_s = time.monotonic()
        self._saving_s = self._saved_s - began


class _Data(lightning.LightningDataModule):
    """Loaders of one round each."""

    def __init__(
        self, engine: Engine, train: Source, validation: Source | None, order: BatchOrder, *, first_step: int
    ) -> None:
        super().__init__()
        self._engine, self._train, self._validation, self._order = engine, train, validation, order
        self._first_step, self.chunks = first_step, list[int]()

    def train_dataloader(self) -> DataLoader[Any]:
        done = self._engine.rounds.done
        batches = RoundBatches(self._order, self._engine.plan, done, self._first_step)
        return loader(self._train, batches, self._engine.settings.data_workers)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        if self._validation is None:
            return []
        chunks, team = _chunks(len(self._validation), self._engine.settings.batch_size), self._engine.team
        self.chunks = list(range(len(chunks)))[team.rank :: team.world] or [0]
        own = [chunks[index] for index in self.chunks]
        return [loader(self._validation, own, self._engine.settings.data_workers)]


def concatenate(outputs: Sequence[Mapping[str, Tensor]]) -> dict[str, NDArray[Any]]:
    """Join the outputs of `evaluate_batch` along their first axis; a scalar counts as one entry."""
    return {
        name: np.concatenate([np.atleast_1d(o[name].detach().float().cpu().numpy()) for o in outputs if name in o])
        for name in dict.fromkeys(name for o in outputs for name in o)
    }


def _chunks(size: int, batch_size: int) -> list[list[int]]:
    return [list(range(i, min(size, i + batch_size))) for i in range(0, size, batch_size)]


def _trainer(
    settings: TrainingSettings, team: Team, rounds: int, work: Path, *, validates: bool, may_lack: bool
) -> lightning.Trainer:  # fmt: skip
    precision = choose_precision(settings.precision, settings.accelerator)
    return lightning.Trainer(
        max_epochs=rounds, accelerator=settings.accelerator, devices=team.devices, num_nodes=team.nodes,
        strategy=_strategy(team, may_lack=may_lack), precision=precision.name, plugins=[environment_of(team)],
        use_distributed_sampler=False, num_sanity_val_steps=0,
        limit_val_batches=None if validates else 0, reload_dataloaders_every_n_epochs=1, default_root_dir=work,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def _strategy(team: Team, *, may_lack: bool) -> Any:
    """Data parallelism in a group of its own, so that its sums never meet those that a loss makes over processes."""
    if team.world == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=may_lack, process_group=data_group())


def _fit_or_stop(trainer: lightning.Trainer, loop: _Loop, data: _Data, stop: StopRequest) -> None:
    try:
        trainer.fit(loop, datamodule=data)
    except Stopped:
        raise stop.end() from None
    except Exception as error:
        if stop.signal is not None:  # a worker that reads data has met the same signal
            raise stop.end() from error
        raise


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
