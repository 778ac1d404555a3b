"""What an arm is: a way of making a predictor that an experiment compares with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardiobind.config import ArmConfig, Experiment
from cardiobind.errors import ConfigError
from cardiobind.objectives.endpoints import ENDPOINTS
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.components import check_options
from cardiobind.pipeline.workspace import Stage
from cardiobind.registry import Registry
from cardiobind.tasks import TASKS


@dataclass(frozen=True)
class Arm:
    """A way of making a predictor.

    Attributes:
        fit: computes the predictor of a cell and commits it.
        rehearse: makes what `fit` will train, with random weights, and shows it a subject, so that what does not fit is
            found before any work; raises `ConfigError` or `InputError`.
        takes: class whose keyword arguments are the options; None where there are none.
        given: how many parameters of `takes`, from the first, are no options.
        exportable: whether its predictor is a network, of which a bundle can be made.
        together: whether several processes can compute it together.
        members: the arms of an experiment that one is made of, which are fitted first; None where it is made of none.
    """

    fit: Callable[[Cell, Stage], None]
    rehearse: Callable[[Cell], object]
    takes: Callable[..., object] | None = None
    given: int = 1
    exportable: bool = False
    together: bool = False
    members: Callable[[Experiment, ArmConfig], tuple[ArmConfig, ...]] | None = None


ARMS: Registry[Arm] = Registry("arm")


def check_arms(experiment: Experiment) -> None:
    """Look the arms of an experiment and their options up before any work is done.

    Raises:
        ConfigError: a kind or an option is unknown, a classifier that starts from a probe is not linear, or the arm
            to export is no network.
    """
    for index, arm in enumerate(experiment.arms):
        kind = ARMS.get(arm.kind)
        where = f"arms.{index}.options"
        check_options(kind.takes or _no_options, arm.options, where, positional=kind.given if kind.takes else 0)
        objective = ENDPOINTS.get(TASKS.get(experiment.protocol.task).kind)
        check_options(objective.fit, arm.objective, f"arms.{index}.objective", positional=1)
        if arm.classifier == "probe" and arm.options.get("hidden") != 0:
            raise ConfigError("a classifier that starts from a probe is linear", where=f"{where}.hidden", expected=0)
        if arm.name == experiment.export and not kind.exportable:
            hint = "export an arm of kind " + " | ".join(name for name in ARMS if ARMS.get(name).exportable)
            raise ConfigError("this arm is no network that could be exported", where="export", got=arm.name, hint=hint)
        members_of(experiment, arm)


def members_of(experiment: Experiment, arm: ArmConfig) -> tuple[ArmConfig, ...]:
    """Return the arms that an arm is made of, none for most.

    Raises:
        ConfigError: they are not there, or cannot be put together.
    """
    found = ARMS.get(arm.kind).members
    return () if found is None else found(experiment, arm)


def _no_options() -> None:
    """Stand for an arm that takes no option."""
