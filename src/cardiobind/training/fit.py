"""Training a method: from its first weights to its best ones, through any number of interruptions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiobind.errors import InputError, TrainingError
from cardiobind.training.checkpoints import newest_checkpoint, read_state, settings_of_run
from cardiobind.training.determinism import deterministic
from cardiobind.training.device import device_kind
from cardiobind.training.history import History
from cardiobind.training.memory import freed_memory_kept
from cardiobind.training.precision import PRECISIONS, choose_precision
from cardiobind.training.processes import join
from cardiobind.training.protocol import Method, OrderFactory, Progress, Source
from cardiobind.training.rounds import Plan, Rounds
from cardiobind.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_WITHOUT_EFFECT = ("data_workers", "checkpoint_interval_s", "checkpoints_kept", "devices", "nodes", "accelerator")


def fit(
    method: Method,
    train: Source,
    validation: Source | None,
    settings: TrainingSettings,
    *,
    order: OrderFactory,
    seed: int,
    work: Path,
    title: str,
    progress: Progress | None = None,
) -> History:
    """Train a method; if `work` holds checkpoints of this run, go on from the newest undamaged one.

    The order of the data, masks and augmentations depend on (seed, epoch, position in the epoch) alone, so a run that
    is killed and called again ends with the same bits. Afterwards the method, on the CPU and in evaluation mode, holds
    the weights of the best validation round, or the last ones without validation; the history says which. Several
    processes, see `cardiobind.training.processes`, share each batch and end with the same weights. On Ctrl-C or SIGTERM
    the step at hand is finished and saved; the call then ends by KeyboardInterrupt or SystemExit. The precision
    ``auto`` is chosen when a run begins; a run that goes on elsewhere keeps it.

    Args:
        method: what a step computes; its first weights must be the same at each call (seed before building it).
        train: training subjects.
        validation: validation subjects, or None.
        settings: length, speed and rounds.
        order: makes the order of the batches, for instance `cardiobind.data.KeyedBatchSampler`.
        seed: of order, masks and augmentations.
        work: folder of this run alone: checkpoints and logs.
        title: what the progress display calls it.
        progress: a display, or None.

    Raises:
        InputError: there is no training subject.
        TrainingError: a loss or gradient is not finite (the weights are those before that step), `work` belongs to
            another run (the settings that differ are named), or there is nothing to train.
        ConfigError: another number of processes was launched than the settings ask for.
    """
    _check(train, validation, settings, title)
    team = join(settings.devices, settings.nodes)
    settings = team.by_leader(partial(_with_precision, settings, title, work / "checkpoints"))
    batches = order(len(train), settings.batch_size, seed=seed, rank=team.rank, world=team.world)
    plan = Plan.of(settings, len(batches))
    identity = _identity(method, train, validation, settings, seed)
    found = team.by_leader(lambda: newest_checkpoint(work / "checkpoints", identity))
    state = None if found is None else read_state(found)
    rounds = _rounds(method, settings, state)
    with deterministic(), freed_memory_kept() if device_kind(settings.accelerator) == "cpu" else nullcontext():
        from cardiobind.training.engine import Engine

        engine = Engine(method, settings, plan, rounds, seed=seed, work=work, title=title, identity=identity, team=team)
        engine.run(train, validation, batches, state, progress)
    if rounds.best_weights is not None:
        method.load_state_dict(rounds.best_weights)
    method.to("cpu")
    method.train(False)
    return rounds.history


def _rounds(method: Method, settings: TrainingSettings, state: Mapping[str, Any] | None) -> Rounds:
    rounds = Rounds(
        method.monitor, higher_is_better=method.higher_is_better, patience=settings.patience,
        min_delta=settings.min_delta,
    )  # fmt: skip
    rounds.history.precision = settings.precision
    if state is not None:
        rounds.load_state_dict(state["rounds"])
    return rounds


def _check(train: Source, validation: Source | None, settings: TrainingSettings, title: str) -> None:
    if len(train) == 0 or (validation is not None and len(validation) == 0):
        raise InputError("no subject to learn from", where=title, expected="at least one in training and validation")
    if settings.patience is not None and validation is None:
        raise TrainingError("early stopping needs a validation set", where=title, hint="set patience to none")


def _with_precision(settings: TrainingSettings, title: str, checkpoints: Path) -> TrainingSettings:
    precision = choose_precision(settings.precision, settings.accelerator)
    begun = settings_of_run(checkpoints).get("precision", precision.name)
    if settings.precision == "auto" and begun != precision.name and begun in PRECISIONS:
        log.warning("%s: goes on in %s, in which it was begun; here it would be %s", title, begun, precision)
        return replace(settings, precision=begun)
    log.info("%s: precision %s", title, precision)
    return replace(settings, precision=precision.name)


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors: names, types, shapes and bits."""
    sha = hashlib.sha256()
    for name, tensor in weights.items():
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _identity(
    method: Method, train: Source, validation: Source | None, settings: TrainingSettings, seed: int
) -> dict[str, Any]:
    chosen = {k: v for k, v in asdict(settings).items() if k not in _WITHOUT_EFFECT}
    return {
        "method": type(method).__name__,
        "settings": chosen | {"betas": list(settings.betas)},
        "seed": seed,
        "subjects": [len(train), 0 if validation is None else len(validation)],
        "first_weights": weights_digest(method.state_dict()),
    }
