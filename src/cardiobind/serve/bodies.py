"""What requests and answers look like: checked where a body is read, and published as OpenAPI."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cardiobind.formats.ecg.ecg_recording import LARGEST_LEAD_SAMPLES, LARGEST_RATE_HZ, finished_record
from cardiobind.formats.ecg.leads import millivolts_per
from cardiobind.inference import BundleContract, Prediction
from cardiobind.modalities.records import EcgHeader, EcgRecord
from cardiobind.modalities.tabular.contract import TableColumn
from cardiobind.serve.refusals import Refused, refuse

LOWEST_RATE_HZ = 10.0
MOST_FACTS = 1000
LONGEST_FACT = 200
Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
Sample = Annotated[float, Field(allow_inf_nan=False)]
Fact = bool | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=LONGEST_FACT)] | None
Facts = Annotated[dict[str, Fact], Field(max_length=MOST_FACTS)]
_FACTS: TypeAdapter[dict[str, Fact]] = TypeAdapter(Facts, config=ConfigDict(strict=True))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EcgBody(_Strict):
    """An ECG as numbers.

    Attributes:
        rate_hz: samples per second.
        unit: of the samples.
        leads: samples by lead, all of one length; null where a sample is absent. Limb leads left out are calculated
            where two others are there.
    """

    rate_hz: float = Field(ge=LOWEST_RATE_HZ, le=LARGEST_RATE_HZ, allow_inf_nan=False)
    unit: Literal["V", "mV", "uV", "nV"]
    leads: dict[Lead, Annotated[list[Sample | None], Field(min_length=1, max_length=LARGEST_LEAD_SAMPLES)]] = Field(
        min_length=1
    )

    def record(self) -> EcgRecord:
        """Return the record of the samples, in mV.

        Raises:
            RecordError: the leads differ in length, or hold no number.
        """
        scale = millivolts_per(self.unit, "ecg")
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            leads = {str(lead): np.array(samples, np.float64) * scale for lead, samples in self.leads.items()}
        return finished_record(leads, self.rate_hz, EcgHeader(), "ecg")


class PredictBody(_Strict):
    """A request as JSON.

    Attributes:
        facts: medical facts by canonical name, see ``/v1/model``; null where not known.
        ecg: the ECG.
        explain: attribute the score to samples and facts, which takes longer.
        signals: return the ECG as it was read.
    """

    facts: Facts | None = None
    ecg: EcgBody | None = None
    explain: bool = False
    signals: bool = False


class ErrorDetail(BaseModel):
    """Why there is no prediction."""

    code: str
    message: str
    where: str | None
    expected: str | None
    hint: str | None
    request: str


class ErrorBody(BaseModel):
    """The body of every answer that is no prediction."""

    error: ErrorDetail


class PredictAnswer(BaseModel):
    """The body of a prediction."""

    prediction: Prediction
    ecg: dict[str, Any] | None
    cine: dict[str, Any] | None
    explanation: dict[str, Any] | None
    neighbours: list[dict[str, Any]] | None


FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ecg": {
            "type": "array", "items": {"type": "string", "format": "binary"},
            "description": "one file of an ECG, or those that belong together (.hea, .dat; .csv, .layout.json)",
        },
        "cmr": {
            "type": "array", "items": {"type": "string", "format": "binary"},
            "description": "files of one cine: a zip, DICOM files, or NIfTI",
        },
        "cmr_long_axis": {
            "type": "array", "items": {"type": "string", "format": "binary"},
            "description": "long-axis views, where they are not among the files of cmr",
        },
        "facts": {"type": "string", "contentMediaType": "application/json", "description": "JSON: name to value"},
        "explain": {"type": "boolean", "default": False},
        "signals": {"type": "boolean", "default": True, "description": "return the ECG as read and the cine as frames"},
    },
}  # fmt: skip


def json_schema(contract: BundleContract) -> dict[str, Any]:
    """Return the schema of a JSON body with the facts of a bundle, and nothing to look up elsewhere."""
    schema = PredictBody.model_json_schema()
    parts = schema.pop("$defs")
    schema["properties"]["ecg"]["anyOf"][0] = parts["EcgBody"]
    columns = () if contract.table is None else contract.table.columns
    schema["properties"]["facts"]["anyOf"][0] = {
        "type": "object", "additionalProperties": False,
        "properties": {column.name: {"anyOf": [_values(column), {"type": "null"}]} for column in columns},
        "description": "facts by canonical name; known ones that the bundle does not use are taken and ignored",
    }  # fmt: skip
    return schema


def _values(column: TableColumn) -> dict[str, Any]:
    if column.kind == "category":
        return {"enum": list(column.categories)}
    if column.kind == "flag":
        return {"type": "boolean"}
    bounds = {"minimum": column.low, "maximum": column.high}
    return {"type": "number", **{name: value for name, value in bounds.items() if math.isfinite(value)}}


def parse_body(data: bytes) -> PredictBody:
    """Return a checked JSON body.

    Raises:
        Refused: it is no JSON, or breaks the schema; where it does is told by names of ours alone.
    """
    try:
        return PredictBody.model_validate_json(data)
    except ValidationError as error:
        kind, place = _first(error)
        levels = (set(PredictBody.model_fields), set(EcgBody.model_fields))
        known = [name for name, names in zip(place, levels, strict=False) if name in names]
        raise _broken(kind, ".".join(known) or None) from None


def parse_facts(text: str) -> dict[str, Any]:
    """Return the medical facts of a form field.

    Raises:
        Refused: it is no JSON object of name to value.
    """
    try:
        return dict(_FACTS.validate_json(text))
    except ValidationError as error:
        raise _broken(_first(error)[0], "facts") from None


def _first(error: ValidationError) -> tuple[str, list[str]]:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["type"], [str(part) for part in first["loc"]]


def _broken(kind: str, where: str | None) -> Refused:
    if kind == "json_invalid":
        return refuse(400, "not_json", "this is not JSON", where=where)
    words = f"the request breaks its schema: {kind.replace('_', ' ')}"
    return refuse(422, "breaks_schema", words, where=where, expected="see /openapi.json")
