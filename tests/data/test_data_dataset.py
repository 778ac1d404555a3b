"""Batches hold what subjects have, nothing else, in the order asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cardiobind.cohort import Cohort, Protocol, make_protocol
from cardiobind.data import CohortDataset, KeyedBatchSampler, identity
from cardiobind.errors import InputError
from cardiobind.methods.views import Views
from cardiobind.modalities.ecg import normalise_by_lead_group
from store_fakes import FakeSource, fake_cohort

EVERYTHING = ("ecg", "cmr", "tabular")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def cohort(folder: Path) -> Cohort:
    return fake_cohort(folder, FakeSource(subjects=60, cmr=True))


@pytest.fixture(scope="module")
def protocol(cohort: Cohort, folder: Path) -> Protocol:
    make_protocol(cohort, folder / "p", task="mi", config={}, fingerprint="f")
    return Protocol.open(folder / "p", cohort)


@pytest.fixture(scope="module")
def dataset(cohort: Cohort, protocol: Protocol) -> CohortDataset:
    return CohortDataset(cohort, protocol, np.arange(len(cohort))[::-1], EVERYTHING)


def test_defect_03_every_stage_sees_the_same_heart_crop(cohort: Cohort, protocol: Protocol) -> None:
    rows = cohort.rows_with(np.arange(len(cohort)), ["cmr"])[:4]
    pretraining, alignment = (CohortDataset(cohort, protocol, rows, m).batch(range(4)) for m in (("cmr",), EVERYTHING))
    assert torch.equal(pretraining.signals["cmr"], alignment.signals["cmr"])
    specs = {m: spec for m, spec in protocol.specs.items() if m == "cmr"}
    for smallest_area in (0.2, 0.6):
        views = Views.of(specs, crop_s=None, probability=0.95, corruption=0.0, smallest_area=smallest_area)
        assert views.fixed("cmr", alignment.signals["cmr"])[0] is alignment.signals["cmr"]


def test_present_rows_only_and_in_order(cohort: Cohort, protocol: Protocol, dataset: CohortDataset) -> None:
    batch = dataset.batch([3, 0, 17, 30, 31])
    rows = batch.rows.numpy()
    assert rows.tolist() == [len(cohort) - 1 - i for i in (3, 0, 17, 30, 31)]
    for modality in EVERYTHING:
        has = cohort.has(modality)[rows]
        assert np.array_equal(batch.present[modality].numpy(), has)
        assert len(batch.signals[modality]) == has.sum()
    ecg = normalise_by_lead_group(cohort.read("ecg", rows[cohort.has("ecg")[rows]]))
    assert np.array_equal(batch.signals["ecg"].numpy(), ecg)
    cmr = cohort.read("cmr", rows[cohort.has("cmr")[rows]])
    assert np.allclose(batch.signals["cmr"].numpy(), (cmr / 255 - 0.5) / 0.25, atol=1e-5)
    assert protocol.contract is not None
    table = protocol.contract.encode(cohort.table.iloc[rows[cohort.has("tabular")[rows]]])
    assert np.array_equal(batch.signals["tabular"].numpy(), table)
    assert batch.labels is not None
    assert np.array_equal(batch.labels.numpy(), cohort.labels("mi")[rows].astype(np.float32), equal_nan=True)
    assert batch.size == 5


def test_everything_is_finite_float32(dataset: CohortDataset) -> None:
    batch = dataset.batch(range(len(dataset)))
    for signal in batch.signals.values():
        assert signal.dtype == torch.float32
        assert torch.isfinite(signal).all()
    assert batch.rows.dtype == torch.int64


def test_a_batch_in_which_nobody_has_a_modality(cohort: Cohort, dataset: CohortDataset) -> None:
    without = np.flatnonzero(~cohort.has("cmr")[dataset.rows])[:2]
    batch = dataset.batch(without.tolist())
    assert batch.signals["cmr"].shape == (0, 3, 32, 32)
    assert not batch.present["cmr"].any()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_the_same_batches_in_any_process(dataset: CohortDataset, workers: int) -> None:
    sampler = KeyedBatchSampler(len(dataset), 16, seed=0)
    loader = DataLoader(
        dataset, batch_sampler=sampler, collate_fn=identity, num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
    )  # fmt: skip
    for batch, indices in zip(loader, sampler, strict=True):
        assert torch.equal(batch.rows, dataset.batch(indices).rows)
        assert torch.equal(batch.signals["ecg"], dataset.batch(indices).signals["ecg"])


def test_one_index_is_a_batch_of_one(dataset: CohortDataset) -> None:
    assert dataset[4].rows.tolist() == dataset.batch([4]).rows.tolist()


def test_moving_a_batch(dataset: CohortDataset) -> None:
    moved = dataset.batch([0, 1]).to("meta")
    assert moved.rows.device.type == "meta"
    assert moved.signals["ecg"].device.type == "meta"
    assert moved.present["ecg"].device.type == "meta"
    assert moved.labels is not None
    assert moved.labels.device.type == "meta"


def test_a_batch_without_labels(cohort: Cohort, folder: Path) -> None:
    make_protocol(cohort, folder / "no-task", task=None, features=[], config={}, fingerprint="f")
    protocol = Protocol.open(folder / "no-task", cohort)
    dataset = CohortDataset(cohort, protocol, cohort.rows_with(range(len(cohort)), ["ecg"]), ["ecg"])
    assert dataset.batch([0]).labels is None
    assert dataset.batch([0]).to("cpu").labels is None
    with pytest.raises(InputError, match="no table"):
        dataset.table()
    with pytest.raises(InputError, match="uses no table"):
        CohortDataset(cohort, protocol, np.flatnonzero(cohort.has("tabular")), ["tabular"])


def test_labels_may_be_replaced(cohort: Cohort, protocol: Protocol) -> None:
    labels = np.arange(len(cohort), dtype=float)
    batch = CohortDataset(cohort, protocol, [5, 2], EVERYTHING, labels).batch([1, 0])
    assert batch.labels is not None
    assert batch.labels.tolist() == [2.0, 5.0]


def test_several_labels_a_sample(cohort: Cohort, protocol: Protocol) -> None:
    labels = np.stack([np.arange(len(cohort)), np.full(len(cohort), np.nan)], axis=1)
    batch = CohortDataset(cohort, protocol, [5, 2], EVERYTHING, labels).batch([1, 0])
    assert batch.labels is not None
    assert batch.labels.dtype == torch.float32
    assert batch.labels[:, 0].tolist() == [2.0, 5.0]
    assert batch.labels.isnan()[:, 1].all()


def test_the_marginals_come_from_observed_rows(cohort: Cohort, protocol: Protocol) -> None:
    rows = protocol.rows("train")
    table = CohortDataset(cohort, protocol, rows, EVERYTHING).table()
    assert len(table) == cohort.has("tabular")[rows].sum()


def test_impossible_datasets_are_refused(cohort: Cohort, protocol: Protocol) -> None:
    for rows, modalities, labels in (
        ([len(cohort)], EVERYTHING, None),
        ([-1], EVERYTHING, None),
        ([0], (), None),
        (np.arange(len(cohort)), ("cmr",), None),
        ([0], EVERYTHING, [1.0]),
    ):
        with pytest.raises(InputError):
            CohortDataset(cohort, protocol, rows, modalities, labels)
