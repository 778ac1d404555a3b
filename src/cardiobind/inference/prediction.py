"""What a bundle says of one subject, with how sure it is and why it may say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

NOTICE = "Research use only: not a medical device, not for decisions about a patient."
OnDoubt = Literal["abstain", "tell"]


@dataclass(frozen=True)
class Verdict:
    """Whether one modality of one subject can be relied on.

    Attributes:
        usable: False where a fatal code or an unfamiliar signal makes the bundle abstain.
        like_training: whether it looks like those the network was trained on; None where the bundle cannot tell.
        codes: what is wrong with it, as in `docs/explanation/quality.md`.
        distance: from the training subjects over the largest that passes, so that above 1 is unfamiliar; None where it
            was not measured.
        says: in words.
    """

    usable: bool
    like_training: bool | None
    codes: tuple[str, ...]
    distance: float | None
    says: str


@dataclass(frozen=True)
class Prediction:
    """The answer for one subject.

    Attributes:
        task: endpoint.
        title: the endpoint in words.
        inputs: modalities that were used, such as ``ecg+tabular``.
        logit: of the network; None where it has several, or where the bundle abstains.
        risk: probability, calibrated for a binary endpoint, within `horizon_years` for a time to event; None where the
            bundle could not be calibrated for these inputs.
        threshold: chosen on validation subjects; None where it could not be chosen.
        positive: whether the risk reaches the threshold; None without one.
        reason: why a value is None.
        quality: codes of what is wrong with a signal, by modality.
        missing: medical facts that were not given.
        ignored: medical facts that were given, but that the network does not use.
        bundle: digest of the bundle.
        statement: the answer in words, with its unit.
        value: of a regression, in `unit`; None where the bundle was not validated for these inputs.
        unit: of the value.
        horizon_years: of the risk of a time to event.
        interval: (low, high) of the risk or value; None where there is none.
        interval_of: what the interval covers, or why there is none.
        verdicts: by modality given, whether it can be relied on.
        abstained: why the bundle says nothing, `logit`, `risk`, `value` and `positive` being None; None where it
            answers.
        cohort_percentile: 0 to 100, the share of the validation subjects with the same inputs whose risk or value is
            lower; None where the bundle does not know.
        notice: what the score is not for.
    """

    task: str
    title: str
    inputs: str
    logit: float | None
    risk: float | None
    threshold: float | None
    positive: bool | None
    reason: str | None
    quality: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]
    bundle: str
    statement: str = ""
    value: float | None = None
    unit: str | None = None
    horizon_years: float | None = None
    interval: tuple[float, float] | None = None
    interval_of: str = ""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    abstained: str | None = None
    cohort_percentile: float | None = None
    notice: str = NOTICE

    def withheld(self, why: str) -> Prediction:
        """Return the prediction without what it says of the subject."""
        return replace(
            self, logit=None, risk=None, value=None, positive=None, interval=None, cohort_percentile=None,
            abstained=why, interval_of="no interval: the bundle abstains",
            statement=f"{self.title}: no answer. {why}",
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description."""
        return asdict(self)
