"""The explanation of a subject by a network of three modalities: it adds up, whatever is given."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from cardiobind.errors import InputError, UnknownNameError
from cardiobind.explain import METHODS, explain
from cardiobind.explain.baselines import baseline
from cardiobind.explain.score import SubjectScore
from cardiobind.explain.subject import DEFAULT_BASELINES, sampling
from cardiobind.inference import Predictor
from explain_fakes import FACTS, small_predictor, small_subject

INPUTS = ("cmr", "cmr+ecg", "cmr+ecg+tabular", "cmr+tabular", "ecg", "ecg+tabular", "tabular")


@pytest.mark.parametrize("inputs", INPUTS)
def test_the_score_that_is_explained_is_the_score(inputs: str) -> None:
    predictor = small_predictor()
    subject = small_subject(predictor, inputs)
    found, logit = explain(predictor, subject, steps=8), predictor.score(subject).logit
    assert found.method["score"] == pytest.approx(logit, abs=1e-5)
    assert set(found.modalities) == set(inputs.split("+"))
    assert sum(found.modalities.values()) + found.method["nothing_known"] == pytest.approx(logit, abs=1e-5)
    assert (found.ecg is None, found.cmr is None, found.tabular is None) == tuple(
        m not in inputs for m in ("ecg", "cmr", "tabular")
    )
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("fusion", ["late", "dropout", "token"])
def test_attributions_add_up_to_the_score_less_that_of_the_baseline(fusion: str) -> None:
    predictor = small_predictor(fusion=fusion)
    found = explain(predictor, small_subject(predictor), baselines={"cmr": "grey"})
    assert found.ecg is not None and found.cmr is not None and found.tabular is not None  # noqa: PT018
    sums = {"ecg": found.ecg.sum(), "cmr": found.cmr.sum(), "tabular": sum(f.attribution for f in found.tabular)}
    for modality, total in sums.items():
        how = found.method[modality]
        assert how["complete"], how
        assert total == pytest.approx(how["difference"], abs=how["tolerance"])
        assert abs(how["difference"]) > 1e-4


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("inputs", ["cmr+ecg+tabular", "ecg+tabular", "tabular"])
def test_what_is_drawn_inside_is_tied_to_the_share_of_the_modality(inputs: str, method: str) -> None:
    """Each tie against scores computed anew, and all of them together the share."""
    predictor = small_predictor()
    subject = small_subject(predictor, inputs)
    found, score = explain(predictor, subject, steps=4, method=method), SubjectScore.of(predictor, subject.signals)
    for modality, share in found.modalities.items():
        tied = found.method[modality]["ties"]
        parts = [value for name, value in tied.items() if name != "share"]
        assert sum(parts) == pytest.approx(tied["share"], abs=1e-9)
        assert tied["share"] == share
        others = [m for m in subject.signals if m != modality]
        start = _baseline(predictor, modality, subject.signals[modality])
        without = score.with_modalities(others) or 0.0
        at_baseline = float(score.with_signal(modality, start).detach())
        assert tied["baseline_over_absence"] == pytest.approx(at_baseline - without, abs=1e-5)
        everything = float(score.with_modalities(subject.signals) or 0.0)
        assert tied["shared_with_others"] == pytest.approx(share - everything + without, abs=1e-5)
        if not others:
            assert tied["shared_with_others"] == pytest.approx(0.0, abs=1e-6)


def _baseline(predictor: Predictor, modality: str, x: Tensor) -> Tensor:
    return baseline(modality, DEFAULT_BASELINES[modality]).of(x, sampling(predictor.contract, modality))


def test_the_same_is_said_twice_and_the_subject_is_left_as_it_was() -> None:
    predictor = small_predictor()
    subject = small_subject(predictor)
    before = {m: x.clone() for m, x in subject.signals.items()}
    first, second = explain(predictor, subject, steps=4).to_json(), explain(predictor, subject, steps=4).to_json()
    assert first == second
    assert all(torch.equal(before[m], x) and not x.requires_grad for m, x in subject.signals.items())
    assert all(parameter.grad is None for parameter in predictor.fusion.parameters())


def test_what_was_not_given_has_nothing() -> None:
    predictor = small_predictor()
    found = explain(predictor, small_subject(predictor, absent=(2, 7)), steps=4)
    assert found.ecg is not None and found.tabular is not None  # noqa: PT018
    assert not found.ecg[[2, 7]].any()
    assert found.ecg[[0, 1, 3]].any(axis=1).all()
    shares = {fact.name: fact for fact in found.tabular}
    assert shares["bmi_kg_m2"].given is None
    assert shares["bmi_kg_m2"].attribution == 0
    assert (shares["sex"].given, shares["diabetes"].given, shares["age_years"].given) == ("male", True, 61.0)
    assert (shares["sbp_mmhg"].title, shares["sbp_mmhg"].unit) == ("Systolic blood pressure", "mmHg")
    assert tuple(shares) == tuple(FACTS)


def test_samples_outside_all_crops_have_nothing() -> None:
    predictor = small_predictor()
    predictor.contract = type(predictor.contract)(**{**vars(predictor.contract), "crops": 1})
    found = explain(predictor, small_subject(predictor, "ecg"), steps=4)
    assert found.ecg is not None
    assert not found.ecg[:, :100].any()
    assert not found.ecg[:, 300:].any()
    assert found.ecg[:, 100:300].any()


def test_members_of_an_ensemble_are_averaged() -> None:
    one, other = small_predictor(0), small_predictor(1)
    subject = small_subject(one)
    both = SubjectScore((one.fusion, other.fusion), one.contract, subject.signals)
    single = [SubjectScore.of(p, subject.signals).with_modalities(subject.signals) for p in (one, other)]
    assert both.with_modalities(subject.signals) == pytest.approx(np.mean(single), abs=1e-6)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_explains_every_modality(method: str) -> None:
    predictor = small_predictor()
    found = explain(predictor, small_subject(predictor), method=method, steps=4)
    assert found.method["name"] == method
    assert found.ecg is not None and np.isfinite(found.ecg).all() and found.ecg.any()  # noqa: PT018
    assert found.cmr is not None and np.isfinite(found.cmr).all() and found.cmr.any()  # noqa: PT018


def test_wrong_words_are_refused() -> None:
    predictor = small_predictor()
    with pytest.raises(UnknownNameError):
        explain(predictor, small_subject(predictor), method="integrated_gradient")
    with pytest.raises(InputError):
        explain(predictor, small_subject(predictor), steps=1)


def test_rounding_keeps_what_matters() -> None:
    predictor = small_predictor()
    found = explain(predictor, small_subject(predictor, "ecg"), steps=4)
    sent = np.array(found.to_json()["ecg"]["samples"])
    assert found.ecg is not None
    assert np.abs(sent - found.ecg).max() <= 1e-3 * np.abs(found.ecg).max()
