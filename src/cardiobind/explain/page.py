"""One page about one subject: the score, whether it can be relied on, and what it rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardiobind.evaluation.report import Picture, html
from cardiobind.explain.drawings import WORDS, said
from cardiobind.explain.explanation import Explanation
from cardiobind.explain.pictures import pictures, risk_picture
from cardiobind.explain.subject import explain
from cardiobind.inference import Prediction, Predictor, PreparedSubject, prepare_subject
from cardiobind.inference.prepared import Table
from cardiobind.inference.trust.cohort import Histogram
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.features.wording import title_and_unit
from cardiobind.modalities.records import EcgRecord

LIMITS = (
    "An attribution says what this network's score rests on. It does not say what is wrong with the heart, and changes "
    "of the input it points at need not change the heart's disease."
)
TIED = (
    "Two comparisons are made of each modality, and they differ. Its share compares it with its absence, in the mean "
    "over the other modalities being there or not. What is drawn inside it compares it with its baseline while the "
    "others are there. Between the two lie what the baseline itself says against absence, and what the modality shares "
    "with the others."
)
_PARTS = ("inside", "missed", "baseline_over_absence", "shared_with_others", "share")


def write_explanation(
    predictor: Predictor,
    out: Path | str,
    *,
    ecg: Path | str | None = None,
    cmr: Path | str | None = None,
    table: Table | None = None,
    subject: str | None = None,
    cmr_long_axis: Path | str | None = None,
    ignore_unknown: bool = False,
    **options: Any,
) -> Path:
    """Write what one subject's score rests on: one self-contained page, or the numbers into a file ending in ``.json``.

    Where the bundle abstains, the reason alone is written: an explanation would tell the score that is withheld.

    Args:
        predictor: a bundle at work.
        out: file to write.
        ecg: as `cardiobind.inference.Predictor.predict`.
        cmr: likewise.
        table: likewise.
        subject: likewise.
        cmr_long_axis: likewise.
        ignore_unknown: likewise.
        options: of `cardiobind.explain.explain`.

    Raises:
        InputError, RecordError, DataContractError, ConfigError: as `cardiobind.inference.Predictor.predict` and
            `cardiobind.explain.explain`.
    """
    path = Path(out)
    prepared = prepare_subject(
        predictor.contract, ecg=ecg, cmr=cmr, table=table, subject=subject, cmr_long_axis=cmr_long_axis,
        ignore_unknown=ignore_unknown,
    )  # fmt: skip
    prediction = predictor.score(prepared)
    found = explain(predictor, prepared, **options) if prediction.abstained is None else None
    if path.suffix == ".json":
        explained = None if found is None else found.to_json()
        text = json.dumps({"prediction": prediction.to_json(), "explanation": explained}, allow_nan=False)
    else:
        risks = predictor.contract.risks.get(prediction.inputs)
        text = subject_page(prediction, found, prepared, prepared.ecg, risks=risks)
    path.write_text(text, encoding="utf-8")
    return path


def subject_page(
    prediction: Prediction, found: Explanation | None, prepared: PreparedSubject, record: EcgRecord | None, *,
    risks: Histogram | None = None,
) -> str:  # fmt: skip
    """Return the HTML of the page about one subject.

    Args:
        prediction: its score.
        found: its explanation; None where there is none to give.
        prepared: what was scored.
        record: the ECG as it was recorded, to draw it at true scale; None where there is none.
        risks: of the cohort, with the same inputs; None where the bundle does not know them.
    """
    sections = [("score", "Score", "".join(map(drawn, risk_picture(prediction, risks))) + _answered(prediction))]
    if found is not None:
        sections += _explained(found, prepared, record)
    return html.page(
        prediction.title, prediction.statement, prediction.notice, sections,
        f"bundle {prediction.bundle[:12]}; inputs {prediction.inputs}",
    )  # fmt: skip


def _explained(found: Explanation, prepared: PreparedSubject, record: EcgRecord | None) -> list[tuple[str, str, str]]:
    shown = {picture.name: picture for picture in pictures(found, prepared, record)}
    sections = [("modalities", "What it rests on", _modalities(found, shown.pop("modalities")))]
    for name, picture in shown.items():
        rest = _all_facts(found) if name == "facts" else ""
        sections.append((name, picture.heading, drawn(picture) + rest))
    return [*sections, ("method", "How it was found", _method(found))]


def drawn(picture: Picture) -> str:
    """Return a picture as HTML."""
    return html.picture(picture.figure, picture.alt, picture.caption, raster=picture.raster)


def _answered(prediction: Prediction) -> str:
    found = answer_tables(prediction)
    return "".join(html.table(rows, caption, text_columns=len(rows[0])) for caption, rows in found.items())


def answer_tables(prediction: Prediction) -> dict[str, list[tuple[str, ...]]]:
    """Return the answer and the verdicts on the signals: caption -> rows of text, the header first."""
    found: dict[str, list[tuple[str, ...]]] = {
        "The answer": [("", "value"), *(pair for pair in _said(prediction) if pair[1])]
    }
    if prediction.verdicts:
        verdicts = [(WORDS.get(m, m), _yes(v.usable), v.says) for m, v in prediction.verdicts.items()]
        found["Whether the signals can be relied on"] = [("", "usable", "why"), *verdicts]
    return found


def _said(prediction: Prediction) -> list[tuple[str, str]]:
    interval, percentile = prediction.interval, prediction.cohort_percentile
    return [
        ("answer", prediction.statement),
        ("abstains", prediction.abstained or ""),
        ("interval", "" if interval is None else f"{_span(prediction, *interval)}: {prediction.interval_of}"),
        ("threshold", "" if prediction.threshold is None else f"{100 * prediction.threshold:.3g} %"),
        ("above the threshold", "" if prediction.positive is None else _yes(prediction.positive)),
        ("place in the cohort", "" if percentile is None else f"above {int(percentile)} % of validation subjects"),
        ("why a value is absent", prediction.reason or ""),
        ("quality", "; ".join(_remarks(m, codes) for m, codes in prediction.quality.items() if codes)),
        ("facts not given", ", ".join(map(_fact, prediction.missing))),
        ("facts not used", ", ".join(prediction.ignored)),
    ]


def _span(prediction: Prediction, low: float, high: float) -> str:
    """Return an interval in the unit that the answer has."""
    if prediction.risk is not None:
        return f"{100 * low:.3g} to {100 * high:.3g} %"
    return f"{low:.3g} to {high:.3g} {prediction.unit or ''}".strip()


def _remarks(modality: str, codes: Sequence[str]) -> str:
    return f"{WORDS.get(modality, modality)}: {', '.join(code.replace('_', ' ') for code in codes)}"


def _fact(name: str) -> str:
    return title_and_unit(FEATURE_BY_NAME[name])[0] if name in FEATURE_BY_NAME else name.replace("_", " ")


def _modalities(found: Explanation, picture: Picture) -> str:
    words = (
        f"Shapley values of the modalities given, in the score's unit ({found.method['unit']}). Together they are the "
        f"score {found.method['score']:.3g} less what the network says of nobody, {found.method['nothing_known']:.3g}."
    )
    return html.paragraph(LIMITS) + html.paragraph(words) + drawn(picture)


def _all_facts(found: Explanation) -> str:
    told = [fact for fact in found.tabular or () if fact.given is not None or fact.attribution]
    ranked = sorted(told, key=lambda fact: -abs(fact.attribution))
    rows = [("fact", "attribution"), *((said(fact), f"{fact.attribution:+.3f}") for fact in ranked)]
    return html.table(rows, "All facts that were given or have an attribution")


def _method(found: Explanation) -> str:
    head = ("", "compared with", "sum", "should be", "adds up")
    inside = {m: how for m, how in found.method.items() if isinstance(how, Mapping)}
    rows = [head, *(_added(m, how) for m, how in inside.items())]
    name = found.method["name"].replace("_", " ")
    words = f"Method: {name}; facts by {_facts_by(found)}. The document docs/explanation/explanations.md tells more."
    return (
        html.paragraph(words)
        + html.table(rows, "How well the attributions inside each modality add up", text_columns=2)
        + html.paragraph(TIED)
        + html.table(tied(found), "From what is drawn inside a modality to the modality's share")
    )


def tied(found: Explanation) -> list[tuple[str, ...]]:
    """Return rows of text, the header first: what lies between the sum inside each modality and its share."""
    head = ("", "drawn inside", "+ missed by the method", "+ its baseline over its absence", "+ shared", "= share")
    inside = {m: how["ties"] for m, how in found.method.items() if isinstance(how, Mapping) and "ties" in how}
    rows = [(WORDS.get(m, m), *(_signed(own[part]) for part in _PARTS)) for m, own in inside.items()]
    return [head, *rows]


def _signed(value: float) -> str:
    return "0" if abs(value) < 5e-4 else f"{value:+.3f}"


def _added(modality: str, how: Mapping[str, Any]) -> tuple[str, ...]:
    adds_up = how.get("complete")
    numbers = (f"{how[name]:+.3f}" if name in how else "" for name in ("sum", "difference"))
    return (WORDS.get(modality, modality), how["baseline"], *numbers, "need not" if adds_up is None else _yes(adds_up))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _facts_by(found: Explanation) -> str:
    name = str(found.method.get("tabular", {}).get("method", "nothing, as none were given"))
    return name.replace("shapley", "Shapley")
