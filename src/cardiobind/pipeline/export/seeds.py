"""The networks of several seeds as the members of one bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cardiobind.artifact import Artifact
from cardiobind.errors import ArtifactError
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.members import Members
from cardiobind.models import load_weights
from cardiobind.pipeline.networks import load_state


def same_but_seed(found: Sequence[Artifact]) -> None:
    """Check that predictors are of one arm, share of labels and protocol, each with a seed of its own.

    Raises:
        ArtifactError: they are not.
    """
    first = _identity(found[0])
    for other in found[1:]:
        if different := [name for name, value in _identity(other).items() if value != first.get(name)]:
            raise ArtifactError(
                "only predictors that differ in their seed become one bundle", where=other.path, got=different[0]
            )
    if len({one.config["seed"] for one in found}) < len(found):
        raise ArtifactError("a seed is there twice", where=found[-1].path, got=found[-1].config["seed"])
    if not of_one_scale(found):
        raise ArtifactError(
            "the risk of intervals of time is no risk of a mean of logits, so that several seeds are no bundle",
            where=found[0].path, hint="export one of them",
        )  # fmt: skip


def of_one_scale(found: Sequence[Artifact]) -> bool:
    """Return whether predictors of one arm become one bundle: the stored score is linear in one logit, on its scale.

    A risk over intervals of time is not: what validation predictions settle for the mean of the members' risks would
    not be so for the risk of their mean logits.
    """
    return len(found) == 1 or not any(one.json("model.json").get("objective", {}).get("bounds") for one in found)


def _identity(found: Artifact) -> dict[str, Any]:
    shared = {p["kind"]: p["digest"] for p in found.manifest["parents"] if p["kind"] in ("cohort", "protocol")}
    return {name: value for name, value in found.config.items() if name != "seed"} | shared


def joined_weights(contract: BundleContract, found: Sequence[Artifact]) -> dict[str, Tensor]:
    """Return the state of the network of a contract, filled from the predictors.

    What a logit means differs between seeds where their training labels had another mean, spread or baseline hazard;
    the last layer of each is made to speak on the scale of the first.
    """
    if len(found) == 1:
        return load_state(found[0])
    alone = replace(contract, members=1)
    members = []
    for one in found:
        member = network_of(alone)
        load_weights(member, load_state(one))
        own = one.json("model.json").get("objective", {})
        if isinstance(member, Members):
            raise TypeError("a member is one network")
        rescale(member.head[-1], contract.kind, own, contract.objective)
        members.append(member)
    return Members(members).state_dict()


def rescale(last: nn.Module, kind: str, own: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Make the last layer of a network, whose logits `own` reads, one whose logits `wanted` reads as the same.

    Args:
        last: linear layer.
        kind: of the endpoint.
        own: objective that the network was trained with, as JSON.
        wanted: objective of the bundle.
    """
    if not isinstance(last, nn.Linear) or own == wanted:
        return
    factor, shift = 1.0, np.zeros(last.out_features)
    if kind == "regression":
        factor = own["sd"] / wanted["sd"]
        shift[0] = (own["mean"] - wanted["mean"]) / wanted["sd"]
    elif kind == "survival" and own.get("baseline"):
        shift[0] = np.log(own["baseline"] / wanted["baseline"])
    with torch.no_grad():
        last.weight[0] *= factor
        last.bias[0] *= factor
        last.bias.add_(torch.from_numpy(shift).to(last.bias))
        if kind == "regression" and last.out_features == 2:  # a log variance beside the mean
            last.bias[1] += 2 * np.log(factor)
