"""Everything that an experiment will train is built once before any training, so that no mistake waits for hours."""

from __future__ import annotations

from cardiobind.config import Experiment
from cardiobind.errors import ConfigError
from cardiobind.pipeline.arms import ARMS, check_arms
from cardiobind.pipeline.components import Study, build_towers, check_names
from cardiobind.pipeline.export import check_exported
from cardiobind.pipeline.finetune import cells
from cardiobind.pipeline.pretrain import build_encoder_of, build_method, rehearse_method
from cardiobind.pipeline.variants import varied_studies
from cardiobind.tasks import TASKS


def check_words(experiment: Experiment) -> None:
    """Look every name in an experiment up.

    Raises:
        ConfigError: a name or an option is unknown, the message suggests the nearest; or no bundle can be made of the
            endpoint.
    """
    for own in experiment.per_endpoint():
        check_names(own)
        for variant in own.variants:
            check_names(own.varied(variant))
        check_arms(own)
    if experiment.export is not None:
        check_exported(TASKS.get(experiment.protocol.task))


def rehearse(study: Study) -> None:
    """Build all networks and methods of an experiment, show them some of the data they will meet, and forget them.

    Raises:
        ConfigError: an option is of the wrong type or out of range, two parts do not fit together, or the raw files
            have nothing of a modality.
        InputError: there are too few labels, or an encoder refuses the crops it would be shown.
    """
    for modality in study.modalities:
        if modality not in study.protocol.specs or not study.cohort.has(modality)[study.protocol.rows("train")].any():
            raise ConfigError(
                "no training subject has this modality", where=modality,
                hint=f"leave [{modality}] out of the experiment, or look at the quarantine of the cohort",
            )  # fmt: skip
    for own in (study, *(own for variant, own in varied_studies(study) if _learns(study, variant))):
        _rehearse_stages(own)
    for cell in cells(study, {}, None):
        if cell.seed == study.experiment.seeds[0]:
            ARMS.get(cell.arm.kind).rehearse(cell)


def _learns(study: Study, variant: str) -> bool:
    """Return whether an arm of a variant starts from what the variant learns without labels."""
    return any(arm.start != "scratch" for arm in study.experiment.arms if arm.variant == variant)


def _rehearse_stages(study: Study) -> None:
    experiment = study.experiment
    for modality in study.modalities:
        pretraining = getattr(experiment, modality).pretrain
        if pretraining is not None:
            rehearse_method(study, build_method(pretraining, build_encoder_of(study, modality)))
    if experiment.align is not None:
        towers = build_towers(experiment, study.protocol.specs, experiment.seed)
        rehearse_method(study, build_method(experiment.align, towers))
