"""What every registered method must do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiobind.methods import METHODS, learn
from cardiobind.training import TrainingSettings, weights_digest
from cardiobind.training.engine import concatenate

NAMES = METHODS.names()
SETTINGS = TrainingSettings(steps=4, batch_size=8, round_steps=2, accelerator="cpu", learning_rate=1e-3)


def test_the_registry_is_complete():
    assert set(NAMES) >= {"masked", "simclr", "scarf", "align_joint", "align_all_pairs", "finetune"}


@pytest.mark.parametrize("name", NAMES)
class TestEveryMethod:
    def data(self, cohort, method, **options):
        data = cohort(**options)
        usable = np.flatnonzero(method.usable(data.present))
        return data, [i.tolist() for i in np.array_split(usable, 2)]

    def test_a_step_has_a_finite_loss_whose_gradient_reaches_every_weight_that_learns(self, name, method, cohort):
        m = method(name, modality_dropout=0.0) if name == "finetune" else method(name)
        data, halves = self.data(cohort, m)
        step = m.training_step(data.batch([*halves[0], *halves[1]]))
        assert step.loss.ndim == 0
        assert torch.isfinite(step.loss)
        assert all(torch.isfinite(v).all() for v in (*step.parts.values(), *step.logs.values()))
        step.loss.backward()
        grouped = {id(p) for group in m.parameter_groups(SETTINGS) for p in group["params"]}
        learning = [(n, p) for n, p in m.named_parameters() if p.requires_grad]
        assert learning
        for parameter_name, parameter in learning:
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name
            assert id(parameter) in grouped, parameter_name
        assert sum(len(group["params"]) for group in m.parameter_groups(SETTINGS)) == len(grouped)

    @torch.inference_mode()
    def test_evaluation_gives_the_monitor(self, name, method, cohort):
        m = method(name).eval()
        data, halves = self.data(cohort, m)
        values = m.summarise(concatenate([m.evaluate_batch(data.batch(half)) for half in halves]))
        assert m.monitor in values
        assert all(np.isfinite(v) for v in values.values())

    @pytest.mark.parametrize("size", [1, 2])
    def test_a_small_batch_does_no_harm(self, name, method, cohort, size):
        m = method(name)
        data, halves = self.data(cohort, m)
        step = m.training_step(data.batch(halves[0][:size]))
        step.loss.backward()
        assert torch.isfinite(step.loss)

    def test_usable_subjects_are_enough(self, name, method, cohort):
        m = method(name)
        data = cohort(size=200)
        usable = m.usable(data.present)
        assert usable.dtype == bool
        assert 0 < usable.sum() <= 200
        complete = np.all([data.present[name] for name in m.modalities], axis=0)
        assert usable[complete].all()

    @pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
    def test_it_trains(self, name, method, cohort, tmp_path, precision):
        m = method(name)
        data = cohort(size=32, gaps=False, modalities=m.modalities)
        settings = replace(SETTINGS, precision=precision)
        history = learn(m, data, data, settings, seed=0, work=tmp_path, title=name)
        assert history.steps == 4
        assert f"validation_{m.monitor}" in history.rows[0]
        assert history.weights == "best"

    @pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
    def test_a_resumed_run_ends_with_the_same_bits(self, name, method, cohort, tmp_path, precision):
        settings = replace(SETTINGS, steps=5, round_steps=1, checkpoint_interval_s=0.0, precision=precision)
        whole, resumed = method(name), method(name)
        validation = cohort(size=12, seed=1)
        learn(whole, cohort(), validation, settings, seed=0, work=tmp_path / "whole", title=name)

        class Breaking(cohort):
            left = 3

            def batch(self, indices):
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
                return super().batch(indices)

        with pytest.raises(KeyboardInterrupt):
            learn(method(name), Breaking(), validation, settings, seed=0, work=tmp_path / "cut", title=name)
        learn(resumed, cohort(), validation, settings, seed=0, work=tmp_path / "cut", title=name)
        assert weights_digest(whole.state_dict()) == weights_digest(resumed.state_dict())

    def test_the_step_is_a_function_of_the_generator(self, name, method, cohort):
        losses = []
        for seed in (1, 1, 2):
            m = method(name)
            data, halves = self.data(cohort, m)
            torch.manual_seed(seed)
            losses.append(m.training_step(data.batch(halves[0])).loss.item())
        assert losses[0] == losses[1]
