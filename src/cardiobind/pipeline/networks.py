"""Networks as artefacts: weights in safetensors, everything else in JSON that a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cardiobind.artifact import Artifact
from cardiobind.training import History

State = dict[str, Tensor]


def save_network(folder: Path, module: nn.Module, description: Mapping[str, Any], history: History) -> None:
    """Write weights, description and course of the training of a network into the folder of an artefact.

    Args:
        folder: of an artefact about to be committed.
        module: network whose state is written to ``weights.safetensors``.
        description: what made it, JSON-compatible, for ``model.json``; how the weights were chosen is added.
        history: one row a round, for ``history.csv``.
    """
    save_weights(folder / "weights.safetensors", module)
    facts = {
        "monitor": history.monitor,
        "weights": history.weights,
        "best_round": history.best_round,
        "best_value": history.best_value,
        "stopped_early": history.stopped_early,
        "precision": history.precision,
    }
    (folder / "model.json").write_text(json.dumps({**description, "selection": facts}, indent=1))
    history.frame.to_csv(folder / "history.csv", index=False)


def save_weights(file: Path, module: nn.Module) -> None:
    """Write the state of a module."""
    save_file({k: v.detach().contiguous().clone() for k, v in module.state_dict().items()}, file)


def save_rest(file: Path, module: nn.Module, *, without: str) -> None:
    """Write the state of a module but for one of its parts, without which it may have none."""
    rest = {
        k: v.detach().contiguous().clone() for k, v in module.state_dict().items() if not k.startswith(f"{without}.")
    }
    save_file(rest, file)


def load_state(artifact: Artifact, part: str = "") -> State:
    """Return the weights of an artefact, or of a part of its network.

    Args:
        artifact: holds ``weights.safetensors``.
        part: only the names that begin with it and a dot are returned, without it; all for ``""``.
    """
    state = load_file(artifact.file("weights.safetensors"))
    prefix = f"{part}." if part else ""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def load_weights_file(file: Path) -> State:
    """Return the weights of one file."""
    return load_file(file)


def load_history(artifact: Artifact) -> pd.DataFrame:
    """Return the course of the training that made an artefact, one row a round."""
    return pd.read_csv(artifact.file("history.csv"))


def save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays for the report."""
    np.savez(file, **dict(arrays))  # type: ignore[arg-type]


def load_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that `save_arrays` wrote."""
    with np.load(file) as stored:
        return {name: stored[name] for name in stored.files}
