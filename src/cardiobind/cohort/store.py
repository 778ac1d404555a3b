"""The prepared cohort: samples, table and labels in memory, signals read through memory maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cardiobind.artifact import Artifact, open_artifact
from cardiobind.cohort.ingest.prepare import stored_dtype
from cardiobind.cohort.remote import RemoteArtifact, is_url, open_remote
from cardiobind.errors import ArtifactError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.registry import did_you_mean
from cardiobind.tasks import TASKS, kind_of

SCHEMA_VERSION = 2
MIGRATIONS = {
    1: "version 1 lacks times and evidence of the labels: prepare the cohort again from the raw files "
    "(`cardiobind run` does so by itself)",
}
REMOTE_MAPS = 16
"""Shards of object storage held open at once: one that is open takes its place on the disk though it was deleted."""
_TRIES = 5

KEYS = ["subject", "visit"]
MODALITY_COLUMNS = ("ecg", "cmr", "tabular")


class Cohort:
    """An opened cohort; sample i is row i of `samples`, `table`, `fold` and every label array.

    Maps of the shards are opened on first use and left behind when the cohort is sent to another process.

    Args:
        artifact: opened artefact of the kind ``cohort``; see `Cohort.open`.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.samples = pd.read_parquet(artifact.file("samples.parquet"))
        self.summary: Mapping[str, Any] = artifact.json("summary.json")
        self.counts: Mapping[str, Mapping[str, int]] = artifact.json("counts.json")
        specs = artifact.json("specs.json")
        self.specs: Mapping[str, InputSpec] = {m: InputSpec.from_json(s) for m, s in specs.items()}
        self._maps: dict[str, NDArray[Any]] = {}
        self._labels: dict[str, NDArray[np.float64]] = {}

    @classmethod
    def open(cls, path: Path | str) -> Cohort:
        """Open a cohort after checking every hash.

        Args:
            path: folder, or the address of one in object storage, such as ``s3://bucket/cohort``, whose shards are
                fetched when they are read and kept in a bounded folder; see `cardiobind.cohort.open_remote`.

        Raises:
            ArtifactError, CorruptArtifactError: as `cardiobind.artifact.open_artifact`, or its layout is of another
                version; the message says how to migrate.
        """
        opened = open_remote(str(path), "cohort") if is_url(path) else open_artifact(path, "cohort")
        version = opened.manifest["schema_version"]
        if version != SCHEMA_VERSION:
            raise ArtifactError(
                "the cohort has the layout of another version", where=path, expected=SCHEMA_VERSION, got=version,
                hint=MIGRATIONS.get(version, "update cardiobind"),
            )  # fmt: skip
        return cls(opened)

    def __len__(self) -> int:
        return len(self.samples)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    @cached_property
    def table(self) -> pd.DataFrame:
        """Features of all samples, aligned to `samples`; a sample without a row in the table is all missing."""
        table = pd.read_parquet(self.artifact.file("table.parquet")).drop(columns=KEYS)
        rows = self.samples["tabular"].to_numpy()
        return table.reindex(np.where(rows >= 0, rows, len(table))).reset_index(drop=True)

    @cached_property
    def instances(self) -> pd.DataFrame | None:
        """Assessment each value of `table` is from, -1 missing; None where the source does not say."""
        return self._beside_table("instances")

    @cached_property
    def days_after_visit(self) -> pd.DataFrame | None:
        """Days from the visit to the day each value of `table` is from, NaN unknown; None where no value is dated."""
        return self._beside_table("days_after_visit")

    def _beside_table(self, name: str) -> pd.DataFrame | None:
        if f"{name}.parquet" not in self.artifact.manifest["files"]:
            return None
        frame = pd.read_parquet(self.artifact.file(f"{name}.parquet")).drop(columns=KEYS)
        rows = self.samples["tabular"].to_numpy()
        return frame.reindex(np.where(rows >= 0, rows, len(frame))).reset_index(drop=True)

    @cached_property
    def quarantine(self) -> pd.DataFrame:
        """Records left out: subject, visit, modality, reason, detail."""
        return pd.read_parquet(self.artifact.file("quarantine.parquet"))

    @cached_property
    def quarantine_examples(self) -> Sequence[Mapping[str, Any]]:
        """Up to three records left out for each modality and reason, without identifiers: words and small pictures."""
        examples: Sequence[Mapping[str, Any]] = self.artifact.json("quarantine_examples.json")
        return examples

    @property
    def fold(self) -> NDArray[np.float64]:
        """Official fold of each sample, NaN where there is none."""
        return self.samples["fold"].to_numpy(dtype=np.float64)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the endpoints with labels."""
        return tuple(self.summary["tasks"])

    def labels(self, task: str) -> NDArray[np.float64]:
        """Return the label of each sample, NaN where unknown or excluded.

        Of a survival task it is whether the event came (see `survival`), of a regression task the value.

        Raises:
            InputError: the cohort has no labels of that task.
        """
        if task not in self._labels:
            self._labels[task] = self.label_table(task)["label"].to_numpy(dtype=np.float64)
        return self._labels[task].copy()

    def survival(self, task: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return time (days from the visit) and event (1, or 0 if censored) of each sample, NaN where excluded.

        Raises:
            InputError: the cohort has no labels of that task, or they have no times.
        """
        rows = self.label_table(task)
        time = rows["time_days"].to_numpy(dtype=np.float64, copy=True)
        if not np.isfinite(time).any() and np.isfinite(rows["label"]).any():
            raise InputError("the labels of this task have no times", expected="a survival task", got=task)
        return time, rows["label"].to_numpy(dtype=np.float64, copy=True)

    def label_matrix(self, tasks: Sequence[str]) -> NDArray[np.float64]:
        """Return the labels (samples, tasks) of several tasks, as of the members of a multilabel one.

        Raises:
            InputError: the cohort has no labels of one of them.
        """
        return np.stack([self.labels(task) for task in tasks], axis=1)

    def targets(self, task: str) -> NDArray[np.float64]:
        """Return what a model of the task learns, NaN where unknown, as `cardiobind.tasks.kinds` describes it.

        A class or a number (samples,); several classes (samples, K); days and event (samples, 2).

        Raises:
            InputError: the cohort has no labels of that task.
        """
        members = TASKS.get(task).members if task in TASKS else ()
        if members:
            return self.label_matrix(members)
        return np.stack(self.survival(task), axis=1) if kind_of(task) == "survival" else self.labels(task)

    def label_table(self, task: str) -> pd.DataFrame:
        """Return why each sample has its label: label, reason, time_days, evidence, evidence_date, approximate.

        Raises:
            InputError: the cohort has no labels of that task.
        """
        if task not in self.tasks:
            raise InputError(
                "the cohort has no labels of this task", expected=" | ".join(self.tasks), got=task,
                hint=did_you_mean(task, self.tasks),
            )  # fmt: skip
        file = self.artifact.file("labels.parquet")
        rows = pd.read_parquet(file, filters=[("task", "==", task)]).drop(columns="task")
        return self.samples[KEYS].merge(rows, on=KEYS, how="left", validate="one_to_one").drop(columns=KEYS)

    def has(self, modality: str) -> NDArray[np.bool_]:
        """Return which samples have a modality.

        Raises:
            InputError: there is no such modality.
        """
        return self._rows_of(modality) >= 0

    def rows_with(self, rows: ArrayLike, modalities: Sequence[str], *, every: bool = False) -> NDArray[np.int64]:
        """Return those of the samples that have one of the modalities, or every one of them, in the same order."""
        chosen = np.asarray(rows, dtype=np.int64)
        has = np.stack([self.has(m)[chosen] for m in modalities])
        kept: NDArray[np.int64] = chosen[has.all(axis=0) if every else has.any(axis=0)]
        return kept

    def spec(self, modality: str) -> InputSpec:
        """Return what an encoder of a signal modality is fed; that of the table belongs to a protocol.

        Raises:
            InputError: the cohort was prepared without that modality.
        """
        if modality not in self.specs:
            raise InputError("the cohort was prepared without it", expected=" | ".join(self.specs), got=modality)
        return self.specs[modality]

    def read(self, modality: str, samples: ArrayLike) -> NDArray[Any]:
        """Return the stored signals of samples, in the order asked for.

        Args:
            modality: ``ecg`` or ``cmr``.
            samples: (P,) indices of samples that have it.

        Returns:
            (P, *shape) int16 microvolts (ecg) or uint8 (cmr).

        Raises:
            InputError: a sample lacks the modality: an absent signal is never zeros.
        """
        spec, wanted = self.spec(modality), np.asarray(samples, dtype=np.int64)
        positions = self._rows_of(modality)[wanted]
        if (positions < 0).any():
            raise InputError(f"{int((positions < 0).sum())} of the samples have no {modality}", hint="ask `has` first")
        out = np.empty((len(wanted), *spec.shape), dtype=stored_dtype(modality))
        shards, rows = (places[positions] for places in self._places[modality])
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            out[here] = self._map(modality, int(shard))[rows[here]]
        return out

    def _rows_of(self, modality: str) -> NDArray[np.int64]:
        if modality not in MODALITY_COLUMNS:
            raise InputError("there is no such modality", expected=" | ".join(MODALITY_COLUMNS), got=modality)
        return self.samples[modality].to_numpy(dtype=np.int64)

    def shards(self, modality: str, samples: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the shard that holds the signal of each sample, -1 where it has none.

        Raises:
            InputError: the cohort was prepared without that modality.
        """
        self.spec(modality)
        positions = self._rows_of(modality)[np.asarray(samples, dtype=np.int64)]
        found: NDArray[np.int64] = np.where(positions < 0, -1, self._places[modality][0][positions])
        return found

    def _map(self, modality: str, shard: int) -> NDArray[Any]:
        name = f"{modality}/shard-{shard:05d}.npy"
        if name in self._maps:
            self._maps[name] = self._maps.pop(name)
            return self._maps[name]
        if isinstance(self.artifact, RemoteArtifact):
            while len(self._maps) >= REMOTE_MAPS:
                self._maps.pop(next(iter(self._maps)))
        self._maps[name] = self._open_map(name)
        return self._maps[name]

    def _open_map(self, name: str) -> NDArray[Any]:
        for _ in range(_TRIES):
            try:
                opened: NDArray[Any] = np.load(self.artifact.file(name), mmap_mode="r")
            except FileNotFoundError:  # another process needed its place in the cache
                continue
            return opened
        raise ArtifactError(
            "the cache of shards is too small: what is fetched is deleted before it is read", where=name,
            hint="raise CARDIOBIND_CACHE_GIB",
        )  # fmt: skip

    @cached_property
    def _places(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        own = {m: self._index[self._index["modality"] == m] for m in self.specs}
        return {m: (places["shard"].to_numpy(), places["row"].to_numpy()) for m, places in own.items()}

    @cached_property
    def _index(self) -> pd.DataFrame:
        columns = ["modality", "shard", "row", "quality"]
        return pd.read_parquet(self.artifact.file("index.parquet"), columns=columns)

    def quality(self, modality: str, samples: ArrayLike) -> list[tuple[str, ...]]:
        """Return the quality codes of the signal of each sample that has one, as `read` returns signals.

        Raises:
            InputError: the cohort has no such modality.
        """
        self.spec(modality)
        codes = self._index.loc[self._index["modality"] == modality, "quality"].fillna("").to_numpy(dtype=str)
        wanted = codes[self._rows_of(modality)[np.asarray(samples, dtype=np.int64)]]
        return [tuple(code for code in joined.split(";") if code) for joined in wanted.tolist()]
