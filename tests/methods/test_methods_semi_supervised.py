"""Few labels and many subjects without one: a no-op without weight, a help where classes are clusters."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from cardiobind.data import Batch, KeyedBatchSampler, MixedBatchSampler
from cardiobind.errors import ConfigError
from cardiobind.methods import Finetune, SemiSupervised
from cardiobind.methods.predict import restrict
from cardiobind.methods.semi_supervised import agreement, growth
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MeanPool, Tower, build_encoder
from cardiobind.objectives import class_consistency, value_consistency
from cardiobind.objectives.endpoints import Binary, Multilabel
from cardiobind.training import TrainingSettings, fit, weights_digest
from cardiobind.training.optimiser import build_optimiser


def few_labels(cohort, labelled=10, size=40):
    """Subjects of whom the first ones have a label."""
    data = cohort(size=size)
    data.labels = np.nan_to_num(data.labels)
    data.labels[labelled:] = np.nan
    return data


class FirstOf:
    """The first subjects of a cohort."""

    def __init__(self, data, size):
        self.data, self.size = data, size

    def __len__(self):
        return self.size

    def batch(self, indices):
        return self.data.batch(indices)


@pytest.mark.parametrize("fusion", ["late", "token"])
def test_without_weight_it_is_fine_tuning_bit_for_bit(towers, cohort, tmp_path, fusion):
    """Trained on labelled and unlabelled subjects together, against `Finetune` on the labelled alone."""
    data = few_labels(cohort)
    settings = TrainingSettings(steps=6, batch_size=4, round_steps=3, accelerator="cpu", precision="32-true")
    options = {"hidden": 8, "dropout": 0.2, "crop_s": 1.0, "augment_probability": 0.5, "fusion": fusion}
    digests = []
    for build, order in (
        (Finetune, KeyedBatchSampler),
        (partial(SemiSupervised, unlabelled_weight=0.0), partial(MixedBatchSampler, labelled=10, ratio=2)),
    ):
        torch.manual_seed(0)
        method = build(towers(), objective=Binary(positive_weight=3.0), **options)
        shown = data if len(digests) else FirstOf(data, 10)
        fit(method, shown, None, settings, order=order, seed=0, work=tmp_path / str(len(digests)), title="few")
        digests.append(weights_digest(method.state_dict()))
    assert digests[0] == digests[1]


class Clusters:
    """Two clusters in 16 dimensions, none of which tells much; a rare class; the first subjects have a label."""

    def __init__(self, seed, size=600, labelled=20, prevalence=0.1):
        random = np.random.default_rng(seed)
        self.truth = (random.random(size) < prevalence).astype(np.float32)
        self.truth[:labelled] = np.arange(labelled) < prevalence * labelled
        values = (2 * self.truth[:, None] - 1) * 0.5 + random.standard_normal((size, 16))
        self.table = torch.from_numpy(np.stack([values, np.ones_like(values)], axis=2)).float()
        self.labels = np.where(np.arange(size) < labelled, self.truth, np.nan).astype(np.float32)

    def batch(self, indices):
        i = np.asarray(indices)
        present = {"tabular": torch.ones(len(i), dtype=torch.bool)}
        return Batch(torch.from_numpy(i), {"tabular": self.table[i]}, present, torch.from_numpy(self.labels[i]))


def trained(data, steps=150, **options):
    torch.manual_seed(0)
    encoder = build_encoder("tabular_mlp", InputSpec("tabular", (16, 2), cardinalities=(0,) * 16), width=16)
    towers = {"tabular": Tower(encoder, MeanPool())}
    method = SemiSupervised(towers, objective=Binary(positive_weight=9.0), hidden=0, ramp_steps=50, **options)
    settings = TrainingSettings(steps=steps, learning_rate=1e-2, accelerator="cpu")
    optimiser = build_optimiser(method.parameter_groups(settings), settings)
    order = MixedBatchSampler(600, 10, labelled=20, ratio=5, seed=0)
    for step in range(steps):
        order.set_epoch(step // len(order))
        optimiser.zero_grad()
        method.training_step(data.batch(list(order)[step % len(order)])).loss.backward()
        optimiser.step()
    return method.eval()


@pytest.mark.parametrize("seed", [1, 2])
def test_unlabelled_subjects_help_where_classes_are_clusters(seed):
    data, test = Clusters(seed), Clusters(99, size=2000, labelled=1)
    missed = {}
    for weight in (0.0, 1.0):
        logits = trained(data, unlabelled_weight=weight).logits(test.batch(range(2000)))[:, 0]
        missed[weight] = 1.0 - roc_auc_score(test.truth, logits.detach().numpy())
    assert missed[0.0] > 0.01
    assert missed[1.0] < missed[0.0] / 2


def test_the_step_is_the_sum_of_what_it_says(method, cohort):
    m, data = method("semi_supervised", ramp_steps=4, unlabelled_weight=2.0), few_labels(cohort)
    batch = data.batch(range(4, 16))
    for step in range(3):
        torch.manual_seed(step)
        found = m.training_step(batch)
        assert set(found.parts) == {"supervised", "agreement"}
        parts = [float(part.detach()) for part in found.parts.values()]
        assert float(found.loss.detach()) == pytest.approx(sum(parts), rel=1e-5)
        assert int(m.teacher.updates) == step + 1
        known = torch.arange(12) < 6
        torch.manual_seed(step)
        alone = Finetune.training_step(m, restrict(batch, m.modalities, known)).loss
        assert float(found.parts["supervised"].detach()) == float(alone.detach())
        agreed = float(m.agree(restrict(batch, m.modalities, ~known)).loss.detach())
        assert float(found.parts["agreement"].detach()) == pytest.approx(2.0 * growth(step, 4) * agreed, rel=1e-4)


def test_only_the_unlabelled_are_agreed_about(method, cohort):
    m, data = method("semi_supervised"), few_labels(cohort)
    assert set(m.training_step(data.batch(range(8))).parts) == {"supervised"}
    assert set(m.training_step(data.batch(range(20, 28))).parts) == {"agreement"}
    silent = method("semi_supervised", unlabelled_weight=0.0).training_step(data.batch(range(20, 28)))
    assert float(silent.loss.detach()) == 0.0
    silent.loss.backward()


def test_the_teacher_sees_all_modalities_and_gets_no_gradient(method, cohort):
    m, data = method("semi_supervised", modality_dropout=0.5), few_labels(cohort)
    batch = data.batch(range(20, 32))
    said = [m.teacher.network(batch.signals, batch.present) for _ in range(2)]
    assert torch.equal(*said)
    m.train()
    assert not m.teacher.network.training
    assert m.fusion.training
    m.training_step(batch).loss.backward()
    assert not any(buffer.requires_grad for buffer in m.teacher.buffers())


def test_it_grows_with_the_step_alone():
    assert [growth(step, 4) for step in (0, 2, 4, 9)] == pytest.approx([np.exp(-5.0), np.exp(-1.25), 1.0, 1.0])
    assert growth(0, 0) == 1.0


def test_agreement_follows_the_kind_of_the_endpoint():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 2).unbind(0)
    several = agreement(Multilabel((2.0, 9.0)), student, teacher, 0.7)
    assert several == class_consistency(student, teacher, (2.0, 9.0), 0.7)
    one = agreement(Binary(positive_weight=5.0), student[:, :1], teacher[:, :1], 0.7)
    assert one == class_consistency(student[:, :1], teacher[:, :1], (5.0,), 0.7)
    assert agreement(object(), student, teacher, 0.7) == value_consistency(student, teacher)


@pytest.mark.parametrize(
    "options",
    [{"unlabelled_weight": -1.0}, {"ramp_steps": -1}, {"threshold": 1.0}, {"teacher_momentum": 1.5}, {"fit": "all"}],
)
def test_options_out_of_range_are_refused(method, options):
    with pytest.raises(ConfigError):
        method("semi_supervised", **options)
