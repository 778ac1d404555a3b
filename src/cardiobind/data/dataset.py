"""The prepared cohort as batches of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

from cardiobind.cohort.ingest.prepare import stored_dtype
from cardiobind.cohort.protocol import Protocol
from cardiobind.cohort.store import Cohort
from cardiobind.data.batch import Batch
from cardiobind.errors import InputError
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group

CMR_CENTRE = 0.5
CMR_SCALE = 0.25


def scale_cmr(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return frames of 0..255 as (x / 255 - 0.5) / 0.25 in float32, any shape."""
    scaled: NDArray[np.float32] = (frames.astype(np.float32) / np.float32(255) - CMR_CENTRE) / np.float32(CMR_SCALE)
    return scaled


_TO_FLOAT: Mapping[str, Callable[[NDArray[Any]], NDArray[np.float32]]] = {
    "ecg": normalise_by_lead_group,
    "cmr": scale_cmr,
}


class CohortDataset(Dataset[Batch]):
    """Samples of a cohort in a chosen order, handed out as whole batches.

    Use it with a batch sampler and `collate_fn=identity`: a loader asks for all samples of a batch at once, so each
    shard is read once.

    Args:
        cohort: the prepared cohort.
        protocol: gives the contract of the table; its labels are used if `labels` is None.
        rows: (n,) indices of the samples in the cohort, for instance ``protocol.rows("train")``.
        modalities: those to hand out; a sample has to have at least one.
        labels: (len(cohort),) or (len(cohort), K) labels of every sample of the cohort, NaN unknown; None for those of
            the protocol.

    Raises:
        InputError: a row is out of range, a sample has none of the modalities, the labels are not one row a sample, or
            the table is asked for and the protocol uses none.
    """

    def __init__(
        self,
        cohort: Cohort,
        protocol: Protocol,
        rows: ArrayLike,
        modalities: Sequence[str],
        labels: ArrayLike | None = None,
    ) -> None:
        self.cohort, self.protocol, self.modalities = cohort, protocol, tuple(modalities)
        self.rows = _checked_rows(cohort, rows, self.modalities)
        self.labels = _checked_labels(cohort, protocol.labels if labels is None else labels)
        self._table = _encoded_table(cohort, protocol, self.rows) if "tabular" in self.modalities else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        return self.batch([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self.batch(indices)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the samples at these places of `rows` as one batch, in this order."""
        places = np.asarray(indices, dtype=np.int64)
        rows = self.rows[places]
        present = {m: self.cohort.has(m)[rows] for m in self.modalities}
        signals = {m: torch.from_numpy(self._signal(m, places[present[m]])) for m in self.modalities}
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows].astype(np.float32))
        flags = {m: torch.from_numpy(p) for m, p in present.items()}
        return Batch(torch.from_numpy(rows), signals, flags, labels)

    def shards(self) -> NDArray[np.int64]:
        """Return the shard (n,) of each sample, for an order that needs few shards at a time.

        It is that of its largest signal; a sample without one counts to the shard of the sample before it, as samples
        lie in the shards of all signals in one order.
        """
        signals = [m for m in self.modalities if m in self.cohort.specs]
        if not signals:
            return np.zeros(len(self), dtype=np.int64)
        largest = max(signals, key=lambda m: math.prod(self.cohort.specs[m].shape) * stored_dtype(m).itemsize)
        found = self.cohort.shards(largest, np.arange(len(self.cohort)))
        return np.maximum(np.maximum.accumulate(found), 0)[self.rows]

    def table(self) -> Tensor:
        """Return the encoded rows of all samples that have one, (P, features, 2), for marginals such as SCARF's.

        Raises:
            InputError: the dataset does not hand out the table.
        """
        if self._table is None:
            raise InputError("the dataset has no table", where="modalities", got=self.modalities)
        return torch.from_numpy(self._table[self.cohort.has("tabular")[self.rows]])

    def _signal(self, modality: str, places: NDArray[np.int64]) -> NDArray[np.float32]:
        if modality == "tabular" and self._table is not None:
            return self._table[places]
        return _TO_FLOAT[modality](self.cohort.read(modality, self.rows[places]))


def identity(batch: Batch) -> Batch:
    """Return its argument: the collate function of a loader whose data set makes whole batches."""
    return batch


def _checked_rows(cohort: Cohort, rows: ArrayLike, modalities: tuple[str, ...]) -> NDArray[np.int64]:
    chosen = np.asarray(rows, dtype=np.int64)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(cohort)):
        raise InputError("a row is not in the cohort", expected=f"0 to {len(cohort) - 1}")
    if not modalities:
        raise InputError("no modality is asked for", where="modalities")
    lacking = len(chosen) - len(cohort.rows_with(chosen, modalities))
    if lacking:
        raise InputError(
            f"{lacking} samples have none of the modalities", expected=" or ".join(modalities),
            hint="choose the rows with Cohort.rows_with",
        )  # fmt: skip
    return chosen


def _checked_labels(cohort: Cohort, labels: ArrayLike | None) -> NDArray[np.float64] | None:
    if labels is None:
        return None
    values = np.asarray(labels, dtype=np.float64)
    if values.ndim not in (1, 2) or len(values) != len(cohort) or 0 in values.shape[1:]:
        expected = f"({len(cohort)},) or ({len(cohort)}, K)"
        raise InputError("labels are not one row a sample of the cohort", expected=expected, got=values.shape)
    return values


def _encoded_table(cohort: Cohort, protocol: Protocol, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if protocol.contract is None:
        raise InputError("the protocol uses no table", where="modalities", hint="give the protocol features")
    return protocol.contract.encode(cohort.table.iloc[rows])
