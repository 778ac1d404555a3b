"""All attributions of one subject's score."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.explain.baselines import Baseline, Sampling, baseline
from cardiobind.explain.explanation import Explanation, FactShare
from cardiobind.explain.facts import fact_shares
from cardiobind.explain.score import TARGETS, SubjectScore
from cardiobind.explain.shapley import exact
from cardiobind.explain.signals import METHODS, Attributed, Signal
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.prepared import PreparedSubject

DEFAULT_METHOD = "integrated_gradients"
DEFAULT_STEPS = 32
DEFAULT_BASELINES = {"ecg": "normal", "cmr": "normal", "tabular": "unknown"}
WHOLE = "integrated_gradients"
"""The method whose sums are the score less that of a baseline; the table then has Shapley values."""


def explain(
    predictor: Predictor, prepared: PreparedSubject, *, method: str = DEFAULT_METHOD, steps: int = DEFAULT_STEPS,
    baselines: Mapping[str, str] | None = None, inside: Collection[str] | None = None,
) -> Explanation:  # fmt: skip
    """Return what the score of one subject rests on, from any subset of the modalities that the bundle knows.

    The same arguments give the same numbers. Each modality is attributed with the others as they are, so that what two
    modalities do together counts in both; the Shapley values of the modalities share it.

    Args:
        predictor: a bundle at work.
        prepared: as `cardiobind.inference.prepare_subject` returns it.
        method: a name in `METHODS`.
        steps: of the quadrature of integrated gradients.
        baselines: by modality, a name in `cardiobind.explain.baselines.BASELINES`; a modality that is not named has the
            one of `DEFAULT_BASELINES`.
        inside: modalities whose samples, pixels or facts are attributed; None for all that are given.

    Raises:
        UnknownNameError: no such method.
        InputError: fewer than 2 steps, or nothing to explain.
        ConfigError: captum is not installed, or no such baseline.
    """
    METHODS.get(method)
    if steps < 2 or not prepared.signals:
        got = f"{steps} steps, {len(prepared.signals)} modalities"
        raise InputError("a score cannot be explained", expected="2 steps or more, 1 modality or more", got=got)
    chosen = {m: baseline(m, name) for m, name in {**DEFAULT_BASELINES, **(baselines or {})}.items()}
    wanted = set(prepared.signals) if inside is None else set(inside) & set(prepared.signals)
    score, inputs = SubjectScore.of(predictor, prepared.signals), predictor.contract.inputs
    found = {m: _signal(score, m, chosen[m], method, steps) for m in ("ecg", "cmr") if m in wanted}
    facts, how_facts = _facts(score, method) if "tabular" in wanted else (None, {})
    modalities, how_modalities = _modalities(score)
    inside_of = {m: one.how for m, one in found.items()} | ({} if facts is None else {"tabular": how_facts})
    how: dict[str, Any] = {
        m: {**own, "baseline": chosen[m].says, "ties": ties(score, m, modalities[m], own)}
        for m, own in inside_of.items()
    }
    return Explanation(
        modalities,
        found["ecg"].values if "ecg" in found else None,
        inputs["ecg"].rate_hz if "ecg" in found else None,
        inputs["ecg"].names if "ecg" in found else (),
        found["cmr"].values if "cmr" in found else None,
        inputs["cmr"].names if "cmr" in found else (),
        facts,
        {"name": method, "unit": TARGETS.get(predictor.contract.kind, "logit"), **how_modalities, **how},
        sampling(predictor.contract, "cmr").pixel_mm if "cmr" in found else None,
    )


def sampling(contract: BundleContract, modality: str) -> Sampling:
    """Return what the axes of a modality's prepared signal are."""
    spec = contract.inputs[modality]
    pixel_mm = contract.cmr.crop_mm / spec.shape[1] if modality == "cmr" and contract.cmr is not None else 1.0
    return Sampling(float(spec.rate_hz or 0), spec.names if modality == "cmr" else (), pixel_mm)


def _signal(score: SubjectScore, modality: str, against: Baseline, method: str, steps: int) -> Attributed:
    x = score.signals[modality].detach().clone().requires_grad_()
    rate_hz = score.contract.inputs[modality].rate_hz
    start = against.of(x.detach(), sampling(score.contract, modality))
    signal = Signal(modality, x, start, lambda rows: score.with_signal(modality, rows), rate_hz)
    return METHODS.get(method)(signal, steps)


def ties(score: SubjectScore, modality: str, share: float, how: Mapping[str, Any]) -> dict[str, float]:
    """Return what lies between the share of a modality and the sum of what is attributed inside it.

    The share compares the modality with its absence, in the mean over the others being there or not; inside, the signal
    is compared with its baseline while the others are there. With F the score and O the other modalities,

        share = inside + missed + (F(baseline, O) - F(O)) + (share - (F(all) - F(O)))

    Args:
        score: of the subject.
        modality: one of those given.
        share: its Shapley value.
        how: ``sum`` of what is attributed inside and ``difference``, the score less that of the baseline.

    Returns:
        ``inside``; ``missed``, next to nothing where the method adds up; ``baseline_over_absence``, what the baseline
        itself says against the modality's absence; ``shared_with_others``; and their sum ``share``.
    """
    others = [name for name in score.signals if name != modality]
    everything, without = (float(score.with_modalities(names) or 0.0) for names in (tuple(score.signals), others))
    return {
        "inside": how["sum"],
        "missed": how["difference"] - how["sum"],
        "baseline_over_absence": everything - how["difference"] - without,
        "shared_with_others": share - (everything - without),
        "share": share,
    }


def _facts(score: SubjectScore, method: str) -> tuple[tuple[FactShare, ...] | None, dict[str, Any]]:
    contract = score.contract.table
    if contract is None:
        return None, {}
    return fact_shares(score, contract, score.signals["tabular"], alone=method != WHOLE)


def _modalities(score: SubjectScore) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the exact Shapley value of each modality, absent ones as the network itself takes them."""
    names = sorted(score.signals)
    nothing = score.with_modalities(())

    def value(coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
        teams = [[name for name, there in zip(names, row, strict=True) if there] for row in coalitions]
        return np.array([score.with_modalities(team) or 0.0 if team else nothing or 0.0 for team in teams])

    shares = exact(len(names), value)
    everything = float(score.with_modalities(names) or 0.0)
    how = {"score": everything, "nothing_known": nothing or 0.0, "modalities": "exact shapley values of presence"}
    return dict(zip(names, map(float, shares), strict=True)), how
