"""All that may stand in a release. What is not declared here does not leave: a new field or file has to be added."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

from cardiobind.config.parts import WeightsConfig
from cardiobind.inference import NOTICE
from cardiobind.inference.hub import MODEL_TYPE
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.modalities.features import FEATURES
from cardiobind.modalities.records import LEADS
from cardiobind.modalities.spec import MODALITIES
from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.rules import (
    Context,
    Rule,
    digest,
    each,
    either,
    fields,
    flag,
    like,
    mapping,
    maybe,
    name,
    number,
    one_of,
    people,
    setting,
    text,
    version,
    whole,
)

BUNDLE_FILES = {
    "contract.json": 2**20,
    "weights.safetensors": 2**33,
    "likeness.safetensors": 2**24,
    "model_card.md": 2**17,
}
"""Files of a bundle and the bytes that they may have; `manifest.json` describes them."""

modality = one_of(MODALITIES)
input_set = like(re.compile(rf"({'|'.join(MODALITIES)})(\+({'|'.join(MODALITIES)}))*"), "an input set")
_kinds = one_of(("binary", "multilabel", "regression", "survival"))
_known_categories = {category for feature in FEATURES for category in feature.categories}
_categories = one_of(_known_categories)
_names_of_features = one_of({feature.name for feature in FEATURES})
_counts = fields({"samples": maybe(people), "labelled": maybe(people), "positive": maybe(people)})

SPEC = fields(
    {
        "modality": modality,
        "shape": each(whole, 3),
        "unit": text(16),
        "rate_hz": maybe(number),
        "names": each(name, 512),
        "cardinalities": each(whole, 512),
    }
)
_weights = fields({"sha256": digest, **{field: setting for field in WeightsConfig.model_fields if field != "file"}})
ENCODER = fields({"kind": name, "options": mapping(name, setting), "weights": _weights})
_pool = either(name, fields({"kind": name, "options": mapping(name, setting)}))
POOL = either(name, mapping(modality, _pool))
COLUMN = fields(
    {
        "name": _names_of_features, "kind": one_of(("number", "category", "flag")), "mean": number, "sd": number,
        "low": maybe(number), "high": maybe(number), "categories": each(_categories, 64),
    }
)  # fmt: skip
_COUNTED = re.compile(r"(?<![\w.])(?<!fewer than )(?<!at least )(\d+)(?![\w.]*\d|\s*%)")


def reason(where: str, value: Any, context: Context) -> Findings:
    """Allow a text that says why there is no value, without the count of few people."""
    yield from text()(where, value, context)
    for count in _COUNTED.findall(value) if isinstance(value, str) else ():
        yield from people(where, int(count), context)


CALIBRATION = fields(
    {"slope": maybe(number), "intercept": maybe(number), "threshold": maybe(number), "reason": maybe(reason)}
)
_certainty = fields(
    {
        "subjects": maybe(people), "events": maybe(people), "covariance": maybe(each(number, 3)),
        "seed_variance": maybe(number), "half_width": maybe(number), "reason": maybe(reason),
    }
)  # fmt: skip


def certainty(where: str, value: Any, context: Context) -> Findings:
    """Allow what intervals follow from, where those without the endpoint are not few either."""
    yield from _certainty(where, value, context)
    every, some = (value.get(key) if isinstance(value, dict) else None for key in ("subjects", "events"))
    if isinstance(every, int) and isinstance(some, int):
        yield from people(f"{where}, subjects less events", every - some, context)


RISKS = fields({"edges": each(number, 33), "counts": each(people, 32), "positives": maybe(each(people, 32))})
LEAD_COSTS = fields(
    {
        "trained": flag, "metric": either(text(32), text(32)), "subjects": people,
        "costs": each(fields({"leads": each(one_of(LEADS), 12), "value": maybe(number)}), 16),
    }
)  # fmt: skip


def splits(where: str, value: Any, context: Context) -> Findings:
    """Allow counts of each split, of those without the endpoint too."""
    yield from mapping(one_of(("train", "validation", "test")), _counts)(where, value, context)
    for split, counts in value.items() if isinstance(value, dict) else ():
        more, fewer = (counts.get(key) if isinstance(counts, dict) else None for key in ("labelled", "positive"))
        if isinstance(more, int) and isinstance(fewer, int):
            yield from people(f"{where}.{split}, labelled less positive", more - fewer, context)


_share = mapping(one_of({*_known_categories, "0.0", "1.0"}), number)
FACT = fields({"n": people, "mean": number, "sd": number, "share": number, "shares": _share})


def facts(where: str, value: Any, context: Context) -> Findings:
    """Allow means and shares of the training subjects, where no share is that of few of them."""
    yield from mapping(_names_of_features, FACT, 512)(where, value, context)
    for name_, known in value.items() if isinstance(value, dict) else ():
        if not isinstance(known, dict) or not isinstance(count := known.get("n"), int):
            continue
        for field, shares in (("shares", known.get("shares")), ("share", {"yes": known.get("share")})):
            told = [s for s in shares.values() if isinstance(s, int | float)] if isinstance(shares, dict) else []
            rest = [1 - s for s in told] if field == "share" else []
            few = [s for s in told + rest if math.isfinite(s) and 0 < round(s * count) < context.smallest]
            said = f"a share of fewer than {context.smallest} people"
            yield from (Finding(f"{where}.{name_}.{field}", said) for _ in few)


SUMMARY = fields(
    {
        "splits": splits, "training_labels": maybe(people), "arm": text(80), "label_fraction": number,
        "seeds": each(whole, 64), "training_with": mapping(modality, maybe(people)), "training_facts": facts,
    }
)  # fmt: skip

CONTRACT_FIELDS: Mapping[str, Rule] = {
    "task": name,
    "title": text(120),
    "inputs": mapping(modality, SPEC),
    "encoders": mapping(modality, ENCODER),
    "pool": POOL,
    "fusion": mapping(name, setting),
    "ecg": maybe(fields({field.name: setting for field in fields_of(EcgPreparation)})),
    "cmr": maybe(fields({field.name: setting for field in fields_of(CmrPreparation)})),
    "table": maybe(fields({"columns": each(COLUMN, 512)})),
    "crop_s": maybe(number),
    "crops": whole,
    "calibration": mapping(input_set, CALIBRATION),
    "summary": SUMMARY,
    "kind": _kinds,
    "unit": text(32),
    "objective": mapping(name, setting),
    "members": whole,
    "certainty": mapping(input_set, certainty),
    "risks": mapping(input_set, RISKS),
    "leads": maybe(LEAD_COSTS),
}
"""Fields of `cardiobind.inference.BundleContract`, by name; a test compares the two."""

CONTRACT = fields(CONTRACT_FIELDS)


def _size(where: str, value: Any, context: Context) -> Findings:
    if value not in context.sizes.values():
        yield Finding(where, "a size that no file has")


FILES = mapping(one_of(BUNDLE_FILES), fields({"bytes": _size, "sha256": digest}))
_nothing = fields({})


def fingerprint(where: str, value: Any, context: Context) -> Findings:
    """Allow a digest or an empty text."""
    yield from () if value == "" else digest(where, value, context)


def no_place(where: str, value: Any, context: Context) -> Findings:
    """Allow an empty text where a parent's place would be."""
    if value != "":
        yield Finding(where, "names a place: write the copy that may leave by `cardiobind export --release`")


MANIFEST = fields(
    {
        "format_version": whole, "kind": one_of(("bundle",)), "schema_version": whole, "files": FILES,
        "parents": each(fields({"kind": name, "digest": digest, "path": no_place}), 16), "config": _nothing,
        "fingerprint": fingerprint, "code_version": version, "digest": digest,
        "environment": fields({"python": version, "platform": name, "machine": name}),
    }
)  # fmt: skip
HUB_CONFIG = fields(
    {
        "model_type": one_of((MODEL_TYPE,)), "architectures": each(one_of(("Fusion",)), 1), "hub_version": whole,
        "cardiobind_version": version, "bundle": digest, "schema_version": whole, "files": FILES,
        "notice": one_of((NOTICE,)), "digest": digest,
        **{field: CONTRACT_FIELDS[field] for field in ("task", "title", "kind", "encoders", "pool", "fusion")},
    }
)  # fmt: skip
ONNX_FACTS = fields(
    {
        "contract_version": one_of(("1",)), "notice": one_of((NOTICE,)), "contract": CONTRACT, "bundle": digest,
        "inputs": input_set, "opset": whole, "outputs": each(name, 2), "spec": SPEC, "encoder": ENCODER,
        "pool": POOL, "difference": number, "tolerance": number,
    }
)  # fmt: skip
_check = fields({"rest": number, "limit": number, "clip": number})
LIKENESS_FACTS = mapping(
    modality, fields({"training": people, "validation": people, "checks": mapping(name, _check, 4)}), 3
)  # fmt: skip
