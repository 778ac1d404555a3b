"""Encoders learn without labels, each from its own modality, then from one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.config import StageConfig, deciding
from cardiobind.data import CohortDataset
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import METHODS, Method, embed, learn
from cardiobind.methods.masked import Masked
from cardiobind.models import Encoder, Tower, load_weights
from cardiobind.pipeline.components import NETWORK_ROOMS, Study, build_towers, options, seeded, training_settings
from cardiobind.pipeline.first_weights import encoder_facts, first_encoder
from cardiobind.pipeline.measured import check_measurable, measured, measurements_to_learn, targets_of
from cardiobind.pipeline.networks import load_state, save_arrays, save_network, save_rest
from cardiobind.pipeline.workspace import Stage
from cardiobind.tasks import TASKS
from cardiobind.training import History

EMBEDDED_SUBJECTS = 1000
ALIGNMENT = "alignment.safetensors"
"""What the alignment has beside the towers: the heads into the space that its loss compares in."""
ROWS = "rows"
"""Name, among the embeddings of test subjects, of their places in the cohort."""


def pretrain(study: Study, modality: str, suffix: str = "") -> Artifact | None:
    """Pre-train the encoder of a modality on the training subjects; they are chosen by the protocol's split alone.

    Args:
        study: the experiment at work.
        modality: ``ecg``, ``cmr`` or ``tabular``, which the experiment configures.
        suffix: of the stage's name.

    Returns:
        Artefact of kind encoder, its weights the best of the validation subjects; None where none is configured.

    Raises:
        ConfigError: the method does not take an option, or is not made for the modality.
        CardiobindError: no training subject has what the method needs.
        TrainingError: a loss or gradient is not finite.
    """
    part = getattr(study.experiment, modality)
    if part.pretrain is None:
        return None
    config = {
        "modality": modality,
        "encoder": encoder_facts(part.encoder),
        "stage": deciding(part.pretrain),
        "training": deciding(study.experiment.training),
        "seed": study.experiment.seed,
    }

    found = measured(study, modality) if _learns_measurements(part.pretrain) else None

    def build(stage: Stage) -> None:
        encoder = build_encoder_of(study, modality)
        method = build_method(part.pretrain, encoder)
        labels = None if found is None else measurements_to_learn(study, modality, found)
        history = _learn(study, stage, method, part.pretrain, f"pre-train {modality}{suffix}", labels)
        with stage.commit() as folder:
            save_network(folder, encoder, config, history)
            if isinstance(method, Masked):
                save_arrays(folder / "reconstruction.npz", _reconstruct(study, method))

    return study.workspace.obtain(
        f"pretrain-{modality}{suffix}", "encoder", build, config=config, rooms=NETWORK_ROOMS,
        parents=[*_parents(study), *([] if found is None else [found])],
        together=not part.pretrain.training.alone,
    )  # fmt: skip


def align(study: Study, encoders: Mapping[str, Artifact], suffix: str = "") -> Artifact | None:
    """Align the encoders of all modalities with one another, on the training subjects.

    Args:
        study: the experiment at work.
        encoders: pre-trained encoders by modality; one that is absent starts from random weights.
        suffix: of the stage's name.

    Returns:
        Artefact of kind aligned with the weights of all towers; None where no alignment is configured.

    Raises:
        ConfigError: the method does not take an option, or lacks a modality that it needs.
        CardiobindError: no training subject has what the method needs.
        TrainingError: a loss or gradient is not finite.
    """
    chosen = study.experiment.align
    if chosen is None:
        return None
    config = {
        "encoders": {m: encoder_facts(getattr(study.experiment, m).encoder) for m in study.modalities},
        "pool": study.experiment.pools,
        "stage": deciding(chosen),
        "training": deciding(study.experiment.training),
        "seed": study.experiment.seed,
    }

    found = measured(study, "cmr") if _learns_measurements(chosen) else None

    def build(stage: Stage) -> None:
        towers = build_towers(study.experiment, study.protocol.specs, study.experiment.seed)
        for modality, encoder in encoders.items():
            load_weights(towers[modality].encoder, load_state(encoder))
        method = build_method(chosen, towers)
        learnt = auxiliary_labels(study, method)
        labels = learnt if found is None else measurements_to_learn(study, "cmr", found)
        history = _learn(study, stage, method, chosen, f"align{suffix}", labels)
        with stage.commit() as folder:
            save_network(folder, method.towers, config, history)  # type: ignore[attr-defined]
            save_rest(folder / ALIGNMENT, method, without="towers")  # type: ignore[arg-type]
            save_arrays(folder / "embeddings.npz", _embeddings(study, towers, options(chosen.method).get("crop_s")))

    parents = [*_parents(study), *encoders.values(), *([] if found is None else [found])]
    return study.workspace.obtain(
        f"align{suffix}", "aligned", build, config=config, rooms=NETWORK_ROOMS, parents=parents,
        together=not chosen.training.alone,
    )  # fmt: skip


def build_encoder_of(study: Study, modality: str) -> Encoder:
    """Return the encoder of a modality with the weights that its pre-training starts from."""
    seeded(study.experiment.seed, modality)
    return first_encoder(getattr(study.experiment, modality).encoder, study.protocol.specs[modality])


def build_method(chosen: StageConfig, *networks: Any) -> Method:
    """Build a registered method around its networks.

    Args:
        chosen: name and options of the method.
        networks: its positional arguments: an encoder, or towers by modality.

    Raises:
        ConfigError: the method is unknown or does not take an option.
    """
    try:
        return METHODS.get(chosen.method.kind)(*networks, **options(chosen.method))
    except TypeError as error:
        raise ConfigError(f"the method does not take these options: {error}", where=chosen.method.kind) from error


def usable_rows(study: Study, method: Method, split: str) -> NDArray[np.int64]:
    """Return the samples of a split that a method can learn from."""
    rows = study.protocol.rows(split)
    present = {m: study.cohort.has(m)[rows] for m in method.modalities}
    return rows[method.usable(present)]


def dataset(
    study: Study, rows: NDArray[np.int64], modalities: Sequence[str], labels: NDArray[np.float64] | None = None
) -> CohortDataset:
    """Return samples of the study's cohort as batches, with other labels than the protocol's where they are given."""
    return CohortDataset(study.cohort, study.protocol, rows, tuple(modalities), labels)


def auxiliary_labels(study: Study, method: Method) -> NDArray[np.float64] | None:
    """Return the labels (samples, K) of the endpoints that a method learns beside its own task, None if there are none.

    They are standardised by the training subjects; those of test subjects are not handed out.

    Raises:
        ConfigError: an endpoint is no regression, or it is the experiment's own, of which few labels may be used.
        InputError: the cohort has no labels of it, or the training subjects have fewer than two different values.
    """
    names: tuple[str, ...] = getattr(method, "auxiliary_tasks", ())
    if not names:
        return None
    if wrong := [name for name in names if TASKS.get(name).kind != "regression"]:
        raise ConfigError("only a regression can be learnt beside", where=", ".join(wrong), hint="name a phenotype")
    _keep_few_labels_few(study, names)
    values = study.cohort.label_matrix(names)
    train = values[study.protocol.rows("train")]
    if unknown := [n for n, x in zip(names, train.T, strict=True) if len(np.unique(x[np.isfinite(x)])) < 2]:
        raise InputError("too few training subjects have it", where=", ".join(unknown), expected="two values at least")
    standardised: NDArray[np.float64] = (values - np.nanmean(train, axis=0)) / np.nanstd(train, axis=0)
    standardised[study.protocol.rows("test")] = np.nan
    return standardised


def _keep_few_labels_few(study: Study, names: Sequence[str]) -> None:
    task = study.experiment.protocol.task
    if min(study.experiment.label_fractions) < 1 and {task, *TASKS.get(task).members} & set(names):
        raise ConfigError(
            "alignment would learn from all labels of the endpoint of which few may be used",
            where="align.method.options.phenotypes", got=task, hint="leave it out, or say label_fractions=[1.0]",
        )  # fmt: skip


def rehearse_method(study: Study, method: Method) -> None:
    """Show a method one training subject of each modality, so that a crop or shape that does not fit is found early.

    Raises:
        InputError: an encoder refuses what it is shown.
    """
    train = study.protocol.rows("train")
    rows = np.unique(np.concatenate([study.cohort.rows_with(train, [m])[:1] for m in method.modalities]))
    method.train(False)
    with torch.inference_mode():
        labels = auxiliary_labels(study, method)
        if getattr(method, "learns_measurements", False):
            modality = "cmr" if "cmr" in method.modalities else method.modalities[0]
            check_measurable(study, modality, type(method).__name__)
            labels = np.full((len(study.cohort), targets_of(study, modality)), np.nan)
        shown = dataset(study, rows, method.modalities, labels)
        method.evaluate_batch(shown.batch(range(len(rows))))


def _learns_measurements(chosen: StageConfig) -> bool:
    return bool(getattr(METHODS.get(chosen.method.kind), "learns_measurements", False))


def _learn(
    study: Study, stage: Stage, method: Method, chosen: StageConfig, title: str, labels: NDArray[np.float64] | None
) -> History:
    train, validation = (usable_rows(study, method, split) for split in ("train", "validation"))
    if len(train) == 0:
        raise InputError(f"no training subject has what {chosen.method.kind!r} needs", where=stage.name)
    return learn(
        method, dataset(study, train, method.modalities, labels),
        dataset(study, validation, method.modalities, labels) if len(validation) else None,
        training_settings(chosen.training, study.experiment.training), seed=study.experiment.seed, work=stage.work,
        title=title, progress=study.workspace.reporter,
    )  # fmt: skip


def _reconstruct(study: Study, method: Masked) -> dict[str, NDArray[Any]]:
    rows = usable_rows(study, method, "validation")
    if len(rows) == 0:
        return {}
    seeded(study.experiment.seed, "reconstruction")
    (modality,) = method.modalities
    (signal,) = method.views.fixed(modality, dataset(study, rows[:1], (modality,)).batch([0]).signals[modality])
    reconstruction, hidden = method.reconstruct(signal)
    return {"signal": signal[0].numpy(), "reconstruction": reconstruction[0].numpy(), "hidden": hidden[0].numpy()}


def _embeddings(study: Study, towers: Mapping[str, Tower], crop_s: float | None) -> dict[str, NDArray[Any]]:
    rows = study.protocol.rows("test")[:EMBEDDED_SUBJECTS]
    rows = study.cohort.rows_with(rows, study.modalities)
    found: dict[str, NDArray[Any]] = dict(embed(towers, dataset(study, rows, study.modalities), crop_s=crop_s))
    return {**found, ROWS: rows}


def _parents(study: Study) -> list[Artifact]:
    return [study.cohort.artifact, study.division or study.protocol.artifact]
