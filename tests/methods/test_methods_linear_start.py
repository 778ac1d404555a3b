"""A classifier that starts from a probe says what the probe says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.methods import Finetune, predict, start_from_probe
from cardiobind.methods.linear_start import classifier_features
from cardiobind.methods.probe import USUAL_C, fit_logistic_probe


@pytest.fixture
def labelled(cohort):
    def make(**options):
        subjects = cohort(**options)
        subjects.labels = np.nan_to_num(subjects.labels)
        subjects.rows = np.arange(len(subjects))
        return subjects

    return make


@pytest.fixture
def linear(towers):
    torch.manual_seed(0)
    return Finetune(towers(), hidden=0, crop_s=1.0)


def test_the_logits_are_those_of_the_probe(linear, labelled):
    train, validation = labelled(size=40), labelled(size=30, seed=1)
    c = start_from_probe(linear, "binary", train, validation, seed=0).penalty
    probe = fit_logistic_probe(
        classifier_features(linear, train), train.labels, classifier_features(linear, validation), validation.labels,
        seed=0,
    )  # fmt: skip
    assert c == probe.c
    expected = probe.probabilities(classifier_features(linear, validation))
    np.testing.assert_allclose(1 / (1 + np.exp(-predict(linear, validation))), expected, atol=1e-4)


def test_a_hidden_layer_is_refused(linear, labelled):
    deep = Finetune(dict(linear.fusion.towers.items()), hidden=8)
    with pytest.raises(ConfigError, match="linear"):
        start_from_probe(deep, "binary", labelled(), labelled(seed=1), seed=0)


def test_without_validation_the_penalty_is_the_usual_one_and_the_log_says_so(linear, labelled, caplog):
    train = labelled(size=40)
    before = linear.fusion.head[-1].weight.clone()
    assert start_from_probe(linear, "binary", train, None, seed=0).penalty == USUAL_C
    assert not torch.equal(before, linear.fusion.head[-1].weight)
    assert "usual C = 1" in caplog.text
    features = classifier_features(linear, train)
    expected = fit_logistic_probe(features, train.labels, features[:0], train.labels[:0], seed=0).probabilities(
        features
    )
    np.testing.assert_allclose(1 / (1 + np.exp(-predict(linear, train))), expected, atol=1e-4)
