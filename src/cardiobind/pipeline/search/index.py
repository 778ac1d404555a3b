"""Subjects whose hearts were measured, found by the embedding of somebody else's ECG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.errors import DataContractError, InputError
from cardiobind.inference import BundleContract, PreparedSubject
from cardiobind.inference.trust.verdicts import doubt, verdict
from cardiobind.pipeline.search.embedders import TowerEmbedder, only, open_aligned
from cardiobind.pipeline.search.telling import USUAL, Telling, infer
from cardiobind.tasks import TASKS

KIND = "index"
CONTRACT = "contract.json"
FACTS = "index.json"
AMONG = "cmr"
"""Whose embeddings are searched: those of the images, which the phenotypes are read off."""
COVERAGE = 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Index:
    """Embeddings of training subjects' cines, with their phenotypes and the networks that embed a newcomer.

    It holds data of participants, though no name of one: it must not leave the platform that the cohort is kept on.

    Attributes:
        artifact: the index.
        embedder: the aligned encoders.
        embeddings: (n, d) float32, of length 1.
        rows: (n,) of the cohort.
        phenotypes: (n, K) by name, NaN where unknown.
        facts: settings, half-widths of intervals and the evaluation on test subjects.
    """

    artifact: Artifact
    embedder: TowerEmbedder
    embeddings: NDArray[np.float32]
    rows: NDArray[np.int64]
    phenotypes: pd.DataFrame
    facts: Mapping[str, Any]

    @property
    def contract(self) -> BundleContract:
        """How raw files are prepared for a search."""
        return self.embedder.contract

    def telling(self, by: str) -> list[Telling]:
        """Return how each phenotype is told to who searches by a name in `embedder.spaces`.

        An index of before 0.1.0 tells the mean of the nearest as it is.
        """
        chosen = self.facts.get("telling", {}).get(by, {})
        usual = {"neighbours": int(self.facts["neighbours"] or USUAL)}
        return [Telling(**chosen.get(name, usual)) for name in self.phenotypes.columns]

    @cached_property
    def values(self) -> Floats:
        """The phenotypes as an array (n, K)."""
        return self.phenotypes.to_numpy(dtype=np.float64)

    def usable(self, contract: BundleContract) -> tuple[str, ...]:
        """Return the modalities that a bundle prepares as the index does."""
        own: dict[str, Any] = {"ecg": self.contract.ecg, "cmr": self.contract.cmr, "tabular": self.contract.table}
        theirs: dict[str, Any] = {"ecg": contract.ecg, "cmr": contract.cmr, "tabular": contract.table}
        return tuple(m for m in self.contract.inputs if m in contract.inputs and own[m] == theirs[m])

    def check(self, contract: BundleContract) -> None:
        """Check that a bundle's prepared subjects can be searched with.

        Raises:
            DataContractError: the bundle prepares every modality otherwise.
        """
        if not self.usable(contract):
            raise DataContractError(
                "the index was made for data prepared otherwise than the bundle does", where="--index",
                hint="make the index from the alignment that the bundle's experiment made",
            )  # fmt: skip

    def query(self, prepared: PreparedSubject, by: str | None = None) -> tuple[str, NDArray[np.float32]]:
        """Return what is searched by, and its embedding (d,).

        Args:
            prepared: one subject, prepared as `contract` says.
            by: a name in `embedder.spaces`; None for the first that the subject has other than the images.

        Raises:
            InputError: the subject does not have it, or nothing that can be searched by.
        """
        held = self.embedder.shared(prepared)
        usual = next((name for name in (*(n for n in self.embedder.spaces if n != AMONG), AMONG) if name in held), None)
        chosen = by or usual
        if chosen is None or chosen not in held:
            raise InputError(
                "the subject has nothing that can be searched by", expected=" | ".join(self.embedder.spaces), got=chosen
            )
        return chosen, held[chosen]

    def doubt(self, prepared: PreparedSubject, by: str | None = None) -> str | None:
        """Return why nothing should be told by what is searched by, None where it can be relied on.

        Arguments and errors as of `query`.
        """
        modalities = self.query(prepared, by)[0].split("+")
        return doubt({m: verdict(m, prepared.quality.get(m, ()), None) for m in modalities})

    def neighbours(self, prepared: PreparedSubject, k: int = 10, by: str | None = None) -> list[dict[str, Any]]:
        """Return the `k` nearest subjects, nearest first, for people to look at: no number of a subject.

        Arguments and errors as of `query`.
        """
        _, embedding = self.query(prepared, by)
        return nearest(self, embedding, k)

    def inferred(self, prepared: PreparedSubject, by: str | None = None) -> list[dict[str, Any]]:
        """Return for each phenotype the mean of the `k` nearest subjects that have it, and an interval.

        Of 90 % of people like the validation subjects the true value is between ``low`` and ``high`` (split conformal);
        both are None where too few validation subjects were measured. ``spread`` is the standard deviation among the
        `k`. Nothing is returned where there is a `doubt`. Arguments and errors as of `query`.
        """
        if self.doubt(prepared, by) is not None:
            return []
        name, embedding = self.query(prepared, by)
        values, spreads = infer(self.embeddings, self.values, embedding[None], how := self.telling(name))
        widths = self.facts["half_widths"].get(name, {})
        return [
            _worded(phenotype, value) | _ends(value, widths.get(phenotype))
            | {"spread": _number(spread), "by": name, **asdict(own)}
            for phenotype, value, spread, own in zip(self.phenotypes.columns, values[0], spreads[0], how, strict=True)
        ]  # fmt: skip


def open_index(path: Path | str) -> Index:
    """Open an index, checked file by file.

    Raises:
        ArtifactError, CorruptArtifactError: there is none, or a file of it is not what was written.
    """
    found = artifact.open_artifact(path, KIND)
    embedder = open_aligned(found, BundleContract.from_json(found.json(CONTRACT)))
    phenotypes = pd.read_parquet(found.file("phenotypes.parquet"))
    embeddings = np.load(found.file("embeddings.npy")).astype(np.float32)
    rows = phenotypes.pop("row").to_numpy(dtype=np.int64)
    return Index(found, embedder, embeddings, rows, phenotypes, found.json(FACTS))


def nearest(index: Index, embedding: ArrayLike, k: int = 10) -> list[dict[str, Any]]:
    """Return the `k` subjects of an index whose images are nearest to an embedding, nearest first.

    Args:
        index: to search.
        embedding: (d,) in the shared space, of any length.
        k: how many; all where there are fewer.

    Returns:
        Each ``{"modality": "cmr", "similarity": cosine, "phenotypes": [{"name", "title", "unit", "value"}]}``,
        without the phenotypes that are not known of a subject.

    Raises:
        InputError: the embedding has another length, is 0 or not finite, or `k` is not positive.
    """
    query = _unit(index, embedding)
    if k < 1:
        raise InputError("no neighbour is asked for", where="k", expected=">= 1", got=k)
    similarities = index.embeddings @ query
    places = np.argsort(-similarities, kind="stable")[:k]
    return [{"modality": AMONG, "similarity": float(similarities[i]), "phenotypes": _of_one(index, i)} for i in places]


def neighbours_for(
    index: Index, contract: BundleContract, k: int = 10
) -> Callable[[PreparedSubject], list[dict[str, Any]]]:
    """Return what finds the `k` nearest of a subject whom a bundle has prepared, nobody where that is impossible.

    Raises:
        DataContractError: the bundle prepares every modality otherwise than the index.
    """
    index.check(contract)
    usable = index.usable(contract)

    def found(prepared: PreparedSubject) -> list[dict[str, Any]]:
        part = only(prepared, usable)
        return nearest(index, index.query(part)[1], k) if index.embedder.shared(part) else []

    return found


def _of_one(index: Index, place: int) -> list[dict[str, Any]]:
    known = zip(index.phenotypes.columns, index.values[place], strict=True)
    return [_worded(name, value) for name, value in known if np.isfinite(value)]


def _unit(index: Index, embedding: ArrayLike) -> NDArray[np.float32]:
    query = np.asarray(embedding, dtype=np.float32)
    width = index.embeddings.shape[1]
    length = float(np.linalg.norm(query)) if query.shape == (width,) else 0.0
    if not length > 0 or not np.isfinite(length):
        raise InputError("no embedding of this index", expected=f"({width},), finite and not 0", got=query.shape)
    return query / np.float32(length)


def _worded(name: str, value: float) -> dict[str, Any]:
    title, _, unit = TASKS.get(name).title.partition(" (")
    return {"name": name, "title": title, "unit": unit.rstrip(")"), "value": _number(value)}


def _ends(value: float, half_width: float | None) -> dict[str, Any]:
    if half_width is None or value != value:
        return {"low": None, "high": None}
    return {"low": float(value - half_width), "high": float(value + half_width)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def names_of(columns: Sequence[str]) -> list[str]:
    """Return those columns that are phenotypes: numbers that are read off the images."""
    return [name for name in columns if name in TASKS and TASKS.get(name).kind == "regression"]
