"""The processes that train one network together: who this one is among them, and how they agree."""

from __future__ import annotations

import atexit
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from cardiobind.errors import ConfigError, TrainingError

Launcher = Literal["none", "torchrun", "slurm", "lightning"]
T = TypeVar("T")
_PATIENCE = timedelta(days=30)  # one process may prepare a cohort for days while the others wait


@dataclass(frozen=True)
class Team:
    """The processes that work together, seen from one of them.

    Attributes:
        rank: of this process; 0 leads: it alone writes.
        world: number of processes.
        nodes: number of machines.
        launcher: who started them.
    """

    rank: int = 0
    world: int = 1
    nodes: int = 1
    launcher: Launcher = "none"

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def devices(self) -> int:
        """Processes on each machine."""
        return self.world // self.nodes

    @property
    def keys(self) -> tuple[int, ...]:
        """What keys of random numbers need besides seed and step, so that no two processes draw the same ones."""
        return () if self.world == 1 else (self.rank,)

    def by_leader(self, work: Callable[[], T]) -> T:
        """Let the leader alone do some work; all get its result or its error.

        Raises:
            BaseException: whatever the work raised, in every process, a Ctrl-C or the exit of SIGTERM among it.
            TrainingError: another process has ended meanwhile.
        """
        if self.world == 1:
            return work()
        result: Any = None
        failure: BaseException | None = None
        if self.leads:
            with _alone():
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - every process must raise it, or the others wait for ever
                    failure = error
        try:
            result, told = self.tell((result, _portable(failure)))
        except RuntimeError as error:
            raise failure or _lost(error) from error
        if told is not None:
            raise failure or told
        return result  # type: ignore[no-any-return]

    def tell(self, value: T) -> T:
        """Return the leader's value."""
        if self.world == 1:
            return value
        sent = [value if self.leads else None]
        dist.broadcast_object_list(sent, src=0, group=_control())
        return sent[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank, to the leader; an empty list to the others."""
        if self.world == 1:
            return [value]
        held: list[Any] | None = [None] * self.world if self.leads else None
        dist.gather_object(value, held, dst=0, group=_control())
        return held or []

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over the processes of a tensor that needs no gradient."""
        if self.world == 1:
            return values
        summed = values.detach().clone()
        dist.all_reduce(summed)
        return summed

    def wait(self) -> None:
        """Wait until all are here."""
        if self.world > 1:
            dist.barrier(group=_control())


def _portable(error: BaseException | None) -> BaseException | None:
    """Return an error as it can be sent to other processes."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    except Exception:  # noqa: BLE001 - whatever hinders it, the others must hear of the error
        return TrainingError(f"the leading process failed: {type(error).__name__}: {error}")
    return error


def _lost(error: RuntimeError) -> TrainingError:
    return TrainingError(
        "another process has ended", where="work that one process does while the others wait", got=error,
        hint="look at the log of the others; what was done is kept: start all of them again",
    )  # fmt: skip


ALONE = Team()


@dataclass
class _State:
    team: Team = ALONE
    control: Any = None
    data: Any = None
    alone: int = 0


_STATE = _State()


def current() -> Team:
    """Return the team that this process has joined; a team of one before it has, and within `Team.by_leader`."""
    return ALONE if _STATE.alone else _STATE.team


def join(devices: int | None = None, nodes: int | None = None) -> Team:
    """Join the processes that were launched with this one, or launch them.

    ``torchrun`` and ``srun`` launch all processes themselves. Where neither did and more than one is asked for,
    Lightning's launcher starts the command that is running again, once for each other process of this machine.

    Args:
        devices: processes on each machine; None for as many as were launched, 1 for this process by itself.
        nodes: machines; None for as many as were launched.

    Raises:
        ConfigError: another number was launched than is asked for.
        TrainingError: the processes do not find one another.
    """
    if _STATE.alone or (devices == 1 and nodes in (None, 1)):
        return ALONE
    if _STATE.team.world == 1:
        team = launched(os.environ, nodes)
        if team.world == 1 and (devices or 1) * (nodes or 1) > 1:
            _launch(devices or 1, nodes or 1)
            team = launched(os.environ, nodes)
        if team.world > 1:
            _connect(team)
    team = _STATE.team
    if devices not in (None, team.devices) or nodes not in (None, team.nodes):
        raise ConfigError(
            "another number of processes was launched", where="devices, nodes",
            expected=f"{devices} a node on {nodes} nodes", got=f"{team.devices} a node on {team.nodes} nodes",
            hint="leave both out of the experiment to use what torchrun or srun has launched",
        )  # fmt: skip
    return team


def launched(environment: Mapping[str, str], nodes: int | None = None) -> Team:
    """Return the team that a launcher's environment variables describe.

    Args:
        environment: of the process.
        nodes: machines, for Lightning's launcher, which does not say.
    """

    def number(name: str, default: int = 1) -> int:
        return int(environment.get(name, default))

    if "TORCHELASTIC_RUN_ID" in environment:
        world = number("WORLD_SIZE")
        return _team(number("RANK", 0), world, world // number("LOCAL_WORLD_SIZE"), "torchrun")
    if "SLURM_STEP_ID" in environment:
        machines = number("SLURM_STEP_NUM_NODES", number("SLURM_NNODES"))
        return _team(
            number("SLURM_PROCID", 0), number("SLURM_STEP_NUM_TASKS", number("SLURM_NTASKS")), machines, "slurm"
        )
    if {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE"} <= set(environment):
        world, machines = number("WORLD_SIZE"), nodes or 1
        rank = number("NODE_RANK", 0) * (world // machines) + number("LOCAL_RANK", 0)
        return _team(rank, world, machines, "lightning")
    return ALONE


def _team(rank: int, world: int, nodes: int, launcher: Launcher) -> Team:
    return ALONE if world == 1 else Team(rank, world, nodes, launcher)


def environment_of(team: Team) -> Any:
    """Return Lightning's description of how the processes of a team were launched."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if team.launcher == "torchrun":
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if team.launcher == "slurm" else LightningEnvironment()


def _launch(devices: int, nodes: int) -> None:
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

    _SubprocessScriptLauncher(LightningEnvironment(), devices, nodes).launch(lambda: None)


def _connect(team: Team) -> None:
    environment = environment_of(team)
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    if torch.cuda.is_available() and torch.cuda.device_count() >= team.devices:
        torch.cuda.set_device(team.rank % team.devices)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, rank=team.rank, world_size=team.world)
        _STATE.control = dist.new_group(backend="gloo", timeout=_PATIENCE)
        _STATE.data = dist.new_group()
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the processes do not find one another: {error}", where=f"process {team.rank} of {team.world}",
            hint="see docs/howto/clusters.md",
        ) from error  # fmt: skip
    _STATE.team = team
    atexit.register(_disconnect)


def _disconnect() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
    _STATE.team, _STATE.control, _STATE.data = ALONE, None, None


def data_group() -> Any:
    """Return the group in which gradients are averaged, one for all trainings: they follow one another."""
    return _STATE.data


def _control() -> Any:
    return _STATE.control


@contextmanager
def _alone() -> Iterator[None]:
    """Let what the leader does while the others wait see a team of one."""
    _STATE.alone += 1
    try:
        yield
    finally:
        _STATE.alone -= 1
