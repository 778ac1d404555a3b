"""Every kind of task has all that it takes to be trained, probed, written, measured and shown."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pandas as pd
import pytest
import torch

from cardiobind.errors import InputError
from cardiobind.evaluation.cells import CELLS, read_cells
from cardiobind.evaluation.metrics import METRICS, metrics_of
from cardiobind.evaluation.tables import HEADLINES
from cardiobind.methods.linear_probes import PROBES, Split
from cardiobind.objectives.endpoints import ENDPOINTS
from cardiobind.pipeline.predictions import ROWS
from cardiobind.tasks import KINDS, TASKS, Task

SUBJECTS = 60
EXAMPLES = {"binary": "mi", "survival": "mi_survival", "regression": "lvef_percent", "multilabel": "ptbxl_superclasses"}


def labels_of(kind, n=SUBJECTS, seed=0):
    """Labels that a hidden number drives, every tenth of them unknown; the number."""
    g = np.random.default_rng(seed)
    state = g.normal(size=n)
    noisy = state[:, None] + 0.3 * g.normal(size=(n, 5))
    made = {
        "binary": (noisy[:, 0] > 0.5).astype(float),
        "regression": 55 + 8 * noisy[:, 0],
        "survival": np.stack([np.ceil(3000 * np.exp(-noisy[:, 0] - 1)) + 1, (g.random(n) < 0.7).astype(float)], axis=1),
        "multilabel": (noisy > np.linspace(-0.5, 0.5, 5)).astype(float),
    }[kind]
    made[::10] = np.nan
    return made, state


def objective_of(kind, **options):
    options = {"horizon_years": 2.0} | options if kind == "survival" else options
    return ENDPOINTS.get(kind).fit(labels_of(kind)[0], **options)


def test_no_room_forgets_a_kind():
    kinds = set(KINDS)
    assert kinds == {TASKS.get(name).kind for name in TASKS} == set(EXAMPLES)
    for room in (ENDPOINTS, PROBES, ROWS, CELLS, HEADLINES):
        assert set(room) == kinds
    for kind in kinds:
        assert set(HEADLINES[kind]) <= set(metrics_of(kind))
        assert next(iter(ENDPOINTS.get(kind).monitors)) != "loss"


@pytest.mark.parametrize("kind", list(KINDS))
class TestEveryKind:
    def test_options_are_keyword_only_with_defaults(self, kind):
        _, *options = inspect.signature(ENDPOINTS.get(kind).fit).parameters.values()
        assert all(o.kind is o.KEYWORD_ONLY and o.default is not o.empty for o in options)

    def test_unknown_labels_change_nothing_and_get_no_gradient(self, kind):
        objective, labels = objective_of(kind), torch.tensor(labels_of(kind)[0], dtype=torch.float32)
        logits = torch.randn(SUBJECTS, objective.outputs, requires_grad=True)
        unknown = labels.reshape(SUBJECTS, -1).isnan().any(dim=1)
        loss = objective.loss(logits, labels)
        loss.backward()
        assert (logits.grad[unknown] == 0).all()
        assert torch.isfinite(logits.grad).all()
        assert loss.item() == pytest.approx(objective.loss(logits[~unknown], labels[~unknown]).item(), rel=1e-5)

    def test_a_batch_without_a_label_costs_nothing(self, kind):
        objective = objective_of(kind)
        labels = torch.full_like(torch.tensor(labels_of(kind)[0], dtype=torch.float32)[:4], torch.nan)
        logits = torch.randn(4, objective.outputs, requires_grad=True)
        loss = objective.loss(logits, labels)
        loss.backward()
        assert loss.item() == 0.0
        assert (logits.grad == 0).all()

    def test_one_subject_has_a_finite_loss(self, kind):
        labels = torch.tensor(labels_of(kind)[0][1:2], dtype=torch.float32)
        assert torch.isfinite(objective_of(kind).loss(torch.randn(1, objective_of(kind).outputs), labels))

    def test_half_precision_is_widened(self, kind):
        objective, labels = objective_of(kind), torch.tensor(labels_of(kind)[0], dtype=torch.float32)
        logits = torch.randn(SUBJECTS, objective.outputs, dtype=torch.bfloat16)
        assert objective.loss(logits, labels).dtype == torch.float32

    def test_gradient_descent_on_the_logits_finds_the_order(self, kind):
        objective, labels = objective_of(kind), torch.tensor(labels_of(kind)[0], dtype=torch.float32)
        logits = torch.zeros(SUBJECTS, objective.outputs, requires_grad=True)
        optimiser = torch.optim.Adam([logits], lr=0.1)
        for _ in range(60):
            optimiser.zero_grad()
            objective.loss(logits, labels).backward()
            optimiser.step()
        found = objective.summarise(logits.detach().numpy(), labels.numpy())
        assert set(found) == set(objective.monitors)
        assert found[next(iter(objective.monitors))] > 0.9

    def test_the_linear_probe_learns_and_has_the_line_of_its_logits(self, kind):
        (labels, state), objective = labels_of(kind), objective_of(kind)
        features = np.stack([state, *np.random.default_rng(9).normal(size=(3, SUBJECTS))], axis=1).astype(np.float32)
        known = KINDS.get(kind).known(labels)
        train, validation = (Split(features[part], labels[part]) for part in (known & (np.arange(60) < 40), known))
        probe = PROBES.get(kind)(objective, train, validation, 0)
        weight, bias = probe.line()
        assert weight.shape == (objective.outputs, 4)
        assert bias.shape == (objective.outputs,)
        logits = features @ weight.T + bias
        assert objective.measure(logits[known], labels[known])[next(iter(objective.monitors))] > 0.75
        settled = objective.settled(lambda: (logits[known], labels[known]), lambda: pytest.fail("not needed"))
        np.testing.assert_allclose(probe.predicted(features), settled.predicted(logits), rtol=1e-4, atol=1e-6)

    def test_what_it_predicts_survives_json(self, kind):
        objective, (labels, _) = objective_of(kind), labels_of(kind)
        logits = np.random.default_rng(3).normal(size=(SUBJECTS, objective.outputs))
        settled = objective.settled(lambda: (logits, labels), lambda: (logits, labels))
        again = ENDPOINTS.get(kind).from_json(json.loads(json.dumps(settled.to_json())))
        assert again.outputs == objective.outputs
        np.testing.assert_array_equal(again.predicted(logits), settled.predicted(logits))

    def test_predictions_are_written_and_read_back(self, kind):
        frame = predictions(kind)
        cells = read_cells(frame)
        assert cells[0].kind == kind
        assert cells[0].labels.shape[0] == len(cells[0].rows) == cells[0].values["score"].shape[1]
        for metric in metrics_of(kind).values():
            if metric.on == "score":
                assert np.isfinite(metric.point(cells[0].labels, cells[0].values["score"][0])), metric.name

    def test_strata_are_unknown_where_the_label_is(self, kind):
        labels, _ = labels_of(kind)
        strata = KINDS.get(kind).strata(labels)
        assert np.array_equal(np.isfinite(strata), KINDS.get(kind).known(labels))
        assert len(np.unique(strata[np.isfinite(strata)])) >= 2


def predictions(kind: str) -> pd.DataFrame:
    task: Task = TASKS.get(EXAMPLES[kind])
    labels, state = labels_of(kind)
    known = KINDS.get(kind).known(labels)
    labels, state = labels[known], state[known]
    keys = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(len(labels))], "visit": "2", "inputs": "ecg"})
    keys["split"] = np.where(np.arange(len(labels)) % 3 == 0, "validation", "test")
    score = 1 / (1 + np.exp(-state))
    if kind == "multilabel":
        score = np.repeat(score[:, None], 5, axis=1)
    rows = ROWS.get(kind)(task, keys, labels, score)
    return rows.assign(arm="a", fraction=1.0, seed=0, task=task.name)


def test_every_metric_is_of_a_kind():
    assert {kind for metric in METRICS.values() for kind in metric.kinds} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("binary", np.ones(5)),
        ("regression", np.full(5, 3.0)),
        ("survival", np.stack([np.full(5, 4000.0), np.zeros(5)], axis=1)),
        ("multilabel", np.ones((5, 2))),
    ],
)
def test_labels_that_teach_nothing_are_refused(kind, labels):
    with pytest.raises(InputError):
        ENDPOINTS.get(kind).fit(labels)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_one_class_is_refused_only_where_it_would_be_weighed(kind):
    labels = np.ones(5) if kind == "binary" else np.ones((5, 2))
    objective = ENDPOINTS.get(kind).fit(labels, weighted=False)
    logits = torch.zeros(5, objective.outputs)
    assert objective.loss(logits, torch.from_numpy(labels)).item() == pytest.approx(np.log(2))
    with pytest.raises(InputError, match="one class"):
        ENDPOINTS.get(kind).fit(labels)
    with pytest.raises(InputError, match="no training label"):
        ENDPOINTS.get(kind).fit(np.full_like(labels, np.nan), weighted=False)
