"""What a report can hold, and how each number in it names the artefact it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.artifact import Artifact

Floats = NDArray[np.floating]

DIGEST_LENGTH = 12

_KINDS = {
    "results": ("evaluation", "metrics"),
    "checklist": ("evaluation", "metrics"),
    "curves": ("predictions", "evaluation", "metrics"),
    "cohort": ("cohort",),
    "labels": ("cohort",),
    "splits": ("protocol",),
    "audit": ("protocol",),
    "reconstruction": ("encoder",),
    "retrieval": ("aligned",),
    "embeddings": ("aligned",),
    "explained": ("bundle",),
}


@dataclass(frozen=True)
class Reconstruction:
    """One recording as it went into a masked autoencoder and as it came out.

    Attributes:
        original: (12, samples).
        restored: (12, samples).
        rate_hz: samples per second.
        masked: (12, patches) or (patches,) what was hidden.
        unit: of the amplitudes.
    """

    original: Floats
    restored: Floats
    rate_hz: float
    masked: NDArray[np.bool_] | None = None
    unit: str = "z"


@dataclass(frozen=True)
class Picture:
    """A picture in words.

    Attributes:
        name: what it shows in a word, such as ``ecg``.
        heading: above it.
        figure: the picture.
        alt: what it shows, for those who cannot see it.
        caption: below it.
        raster: whether it is a photograph or a long signal.
    """

    name: str
    heading: str
    figure: Figure
    alt: str
    caption: str
    raster: bool = False


@dataclass(frozen=True)
class Example:
    """One subject, shown without who it is.

    Attributes:
        title: such as ``Example 1``.
        words: below it, or nothing.
        tables: caption -> rows of text, the header first.
        pictures: of the subject.
    """

    title: str
    words: str
    tables: Mapping[str, Sequence[Sequence[str]]]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Report:
    """Everything a report shows. A part that is not given has no section. Nothing here is an identifier of a person.

    Attributes:
        title: of the experiment.
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`.
        description: what was done, in a few sentences.
        label_definition: the clinical endpoint in words, with its codes.
        cohort: ``summary.json`` of the cohort.
        counts: ``counts.json`` of the cohort: modality -> read, kept, quarantined.
        quarantine_examples: some of the records left out, see `cardiobind.cohort.Cohort.quarantine_examples`.
        protocol: ``protocol.json``: task, split, seed, counts by split.
        audit: ``audit.json``: findings and allowed features.
        roles: ``roles.json``: role and use of every column of the table.
        predictions: what ``metrics`` was computed from; gives curves and calibration.
        histories: name of a stage -> one row a round, as `training.History.frame`.
        chance: name of a contrastive stage -> the validation loss of one that guesses.
        reconstruction: one recording; only where its licence allows showing a person's signal.
        embeddings: modality -> (n, width), rows without NaN.
        embedding_labels: modality -> (n,) 1, 0 or NaN.
        embedding_colours: name with unit, such as "age (years)" -> modality -> (n,) values, NaN where unknown.
        retrieval: rows such as {"pair": "ecg → cmr", "subjects": 64, "recall@1": 0.25, "chance": 0.02}.
        artifacts: name of a stage -> its artefact.
        sources: section -> where its numbers came from, where kinds and names of the artefacts do not tell.
        config: the resolved configuration as text.
        training_labels: (arm, fraction) -> labels it was trained with, the mean over seeds.
        settings: the resolved experiment, for the checklist and the model card.
        made: how the numbers came about: name such as "command" or "code version" -> text.
        explained: caption -> rows of text, the header first: what scores rest on, in the mean over subjects.
        examples: a few subjects, one by one; only simulated ones, or where their signals may be shown.
        simulated: whether the examples are.
    """

    title: str
    metrics: Mapping[str, Any]
    description: str = ""
    label_definition: str = ""
    cohort: Mapping[str, Any] | None = None
    counts: Mapping[str, Mapping[str, int]] | None = None
    quarantine_examples: Sequence[Mapping[str, Any]] = ()
    protocol: Mapping[str, Any] | None = None
    audit: Mapping[str, Any] | None = None
    roles: Sequence[Mapping[str, Any]] = ()
    predictions: pd.DataFrame | None = None
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    reconstruction: Reconstruction | None = None
    embeddings: Mapping[str, Floats] = field(default_factory=dict)
    embedding_labels: Mapping[str, Floats] | None = None
    embedding_colours: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    retrieval: Sequence[Mapping[str, object]] = ()
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    training_labels: Mapping[tuple[str, float], int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    explained: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    simulated: bool = False

    def source(self, section: str, file: str = "") -> str:
        """Return "From <stage> <digest>, <file>" for a section or a stage; it says so where the artefact is not known.

        Args:
            section: key of `sources`, name of a stage, or a section whose kind of artefact is known.
            file: file inside the artefact.
        """
        if section in self.sources:
            return f"From {self.sources[section]}."
        names = [section] if section in self.artifacts else self._of_kind(section)
        if not names:
            return "The artefact of these numbers was not given to this report."
        cited = ", ".join(f"{n} {self.artifacts[n].digest[:DIGEST_LENGTH]}" for n in names)
        return f"From {cited}{f', {file}' if file else ''}."

    def _of_kind(self, section: str) -> list[str]:
        for kind in _KINDS.get(section, ()):
            found = [name for name, artifact in self.artifacts.items() if artifact.kind == kind]
            if found:
                return found
        return []
