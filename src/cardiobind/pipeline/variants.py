"""Encoders of their own for some arms: the stages of each variant, what two have in common computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cardiobind.artifact import Artifact, canonical_json
from cardiobind.config import ArmConfig, Experiment, deciding
from cardiobind.config.names import slug
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.first_weights import encoder_facts
from cardiobind.pipeline.pretrain import align, pretrain


@dataclass(frozen=True)
class Learnt:
    """What was learnt without labels.

    Attributes:
        encoders: pre-trained encoders by modality.
        aligned: aligned encoders, or None.
    """

    encoders: Mapping[str, Artifact]
    aligned: Artifact | None = None


def varied(study: Study, variant: str | None) -> Study:
    """Return the study with the encoders and stages of a variant; the study itself for None."""
    return study if variant is None else replace(study, experiment=study.experiment.varied(variant))


def varied_studies(study: Study) -> Iterator[tuple[str, Study]]:
    """Yield the variants that some arm names, each with its study."""
    for variant in dict.fromkeys(arm.variant for arm in study.experiment.arms if arm.variant is not None):
        yield variant, varied(study, variant)


def learn_without_labels(study: Study, *, until: str = "align") -> dict[str | None, Learnt]:
    """Return what the experiment (under None) and each variant that its arms start from have learnt.

    Args:
        study: the experiment at work.
        until: ``pretrain`` to leave out the alignment.
    """
    known: dict[str, Artifact | None] = {}
    found: dict[str | None, Learnt] = {None: _learn(study, "", known, aligns=until != "pretrain")}
    for variant, own in varied_studies(study):
        starts = {arm.start for arm in study.experiment.arms if arm.variant == variant} - {"scratch"}
        if starts:
            aligns = "aligned" in starts and until != "pretrain"
            found[variant] = _learn(own, f"-{slug(variant)}", known, aligns=aligns)
    return found


def start_of(learnt: Mapping[str | None, Learnt], arm: ArmConfig, study: Study) -> dict[str, tuple[Artifact, str]]:
    """Return the artefacts that hold the first weights of an arm, by modality, and the part of each."""
    own = learnt.get(arm.variant, Learnt({}))
    if arm.start == "pretrained":
        return {modality: (found, "") for modality, found in own.encoders.items()}
    if arm.start == "aligned" and own.aligned is not None:
        return {modality: (own.aligned, modality) for modality in study.modalities}
    return {}


def _learn(study: Study, suffix: str, known: dict[str, Artifact | None], *, aligns: bool) -> Learnt:
    encoders: dict[str, Artifact] = {}
    for modality in study.modalities:
        key = canonical_json([modality, _learning(study.experiment, modality)])
        encoder = _once(known, key, lambda m=modality: pretrain(study, m, suffix))  # type: ignore[misc]
        if encoder is not None:
            encoders[modality] = encoder
    if not aligns or study.experiment.align is None:
        return Learnt(encoders)
    experiment, chosen = study.experiment, deciding(study.experiment.align)
    own = {m: encoder_facts(getattr(experiment, m).encoder) for m in experiment.modalities}
    parents = {m: encoder.digest for m, encoder in encoders.items()}
    key = canonical_json([chosen, own, experiment.pools, parents])
    return Learnt(encoders, _once(known, key, lambda: align(study, encoders, suffix)))


def _learning(experiment: Experiment, modality: str) -> dict[str, Any]:
    part = getattr(experiment, modality)
    pretrain = None if part.pretrain is None else deciding(part.pretrain)
    return {"encoder": encoder_facts(part.encoder), "pretrain": pretrain}


def _once(known: dict[str, Artifact | None], key: str, make: Callable[[], Artifact | None]) -> Artifact | None:
    if key not in known:
        known[key] = make()
    return known[key]
