"""Column names of UK Biobank tables in their five styles -> (field, instance, array).

========================== ================= ==================== ============
RAP table exporter         ``eid``           ``p4080_i2_a1``      ``p31``
RAP ``dx extract_dataset`` participant.eid   with the same prefix
ukbconv csv                ``eid``           ``4080-2.1``         ``31-0.0``
ukbconv R, tab             ``f.eid``         ``f.4080.2.1``       ``f.31.0.0``
titles                     Participant ID    ``Age when attended assessment centre | Instance 2``
========================== ================= ==================== ============
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_STYLES = (
    re.compile(r"^(?:participant\.)?p(\d+)(?:_i(\d+))?(?:_a(\d+))?$"),
    re.compile(r"^(\d+)-(\d+)\.(\d+)$"),
    re.compile(r"^f\.(\d+)\.(\d+)\.(\d+)$"),
)
_TITLE = re.compile(r"^(.*?)(?: \| Instance (\d+))?(?: \| Array (\d+))?$")
_IDENTIFIERS = {"eid", "participant.eid", "f.eid", "participant id", "n_eid"}

TITLES: Mapping[str, int] = {
    "sex": 31,
    "age when attended assessment centre": 21003,
    "date of attending assessment centre": 53,
    "standing height": 50,
    "weight": 21002,
    "body mass index (bmi)": 21001,
    "waist circumference": 48,
    "hip circumference": 49,
    "systolic blood pressure, automated reading": 4080,
    "diastolic blood pressure, automated reading": 4079,
    "pulse rate, automated reading": 102,
    "pulse wave arterial stiffness index": 21021,
    "smoking status": 20116,
    "pack years of smoking": 20161,
    "alcohol intake frequency.": 1558,
    "sleep duration": 1160,
    "time spent watching television (tv)": 1070,
    "number of days/week walked 10+ minutes": 864,
    "number of days/week of moderate physical activity 10+ minutes": 884,
    "number of days/week of vigorous physical activity 10+ minutes": 904,
    "processed meat intake": 1349,
    "cooked vegetable intake": 1289,
    "overall health rating": 2178,
    "diabetes diagnosed by doctor": 2443,
    "illnesses of father": 20107,
    "medication for cholesterol, blood pressure or diabetes": 6177,
    "cholesterol": 30690,
    "ldl direct": 30780,
    "hdl cholesterol": 30760,
    "triglycerides": 30870,
    "glycated haemoglobin (hba1c)": 30750,
    "c-reactive protein": 30710,
    "creatinine": 30700,
    "lipoprotein a": 30790,
    "vascular/heart problems diagnosed by doctor": 6150,
    "age heart attack diagnosed": 3894,
    "operation code": 20004,
    "non-cancer illness code, self-reported": 20002,
    "diagnoses - icd10": 41270,
    "date of first in-patient diagnosis - icd10": 41280,
    "date of death": 40000,
    "underlying (primary) cause of death: icd10": 40001,
    "contributory (secondary) causes of death: icd10": 40002,
    "diagnoses - icd9": 41271,
    "date of first in-patient diagnosis - icd9": 41281,
    "operative procedures - opcs4": 41272,
    "date of first operative procedure - opcs4": 41282,
    "lv end diastolic volume": 24100,
    "lv end systolic volume": 24101,
    "lv stroke volume": 24102,
    "lv ejection fraction": 24103,
    "lv cardiac output": 24104,
    "lv myocardial mass": 24105,
    "rv end diastolic volume": 24106,
    "rv end systolic volume": 24107,
    "rv stroke volume": 24108,
    "rv ejection fraction": 24109,
    "cardiac output": 22424,
    "systolic blood pressure, manual reading": 93,
    "diastolic blood pressure, manual reading": 94,
    "pulse rate (during blood-pressure measurement)": 95,
    "medication for cholesterol, blood pressure, diabetes, or take exogenous hormones": 6153,
    "illnesses of mother": 20110,
    "illnesses of siblings": 20111,
    "date i20 first reported (angina pectoris)": 131296,
    "date i21 first reported (acute myocardial infarction)": 131298,
    "date i22 first reported (subsequent myocardial infarction)": 131300,
    "date i23 first reported (certain current complications following acute myocardial infarction)": 131302,
    "date i24 first reported (other acute ischaemic heart diseases)": 131304,
    "date i25 first reported (chronic ischaemic heart disease)": 131306,
    "date i42 first reported (cardiomyopathy)": 131342,
    "date i48 first reported (atrial fibrillation and flutter)": 131350,
    "date i50 first reported (heart failure)": 131354,
    "date i60 first reported (subarachnoid haemorrhage)": 131360,
    "date i61 first reported (intracerebral haemorrhage)": 131362,
    "date i63 first reported (cerebral infarction)": 131366,
    "date i64 first reported (stroke, not specified as haemorrhage or infarction)": 131368,
}
"""Showcase titles, in lower case, of the fields that cardiobind reads."""

SAME_TITLE: Mapping[int, int] = {22420: 24103, 22421: 24100, 22422: 24101, 22423: 24102}
"""Fields whose title another field has as well: a titled column is taken for the latter."""


@dataclass(frozen=True, order=True)
class Column:
    """One column of a UK Biobank table; instance and array are None where the header has none."""

    field: int
    instance: int | None
    array: int | None
    header: str


def parse_header(header: str) -> Column | None:
    """Return field, instance and array of a column name, or None if it is of no style known."""
    for style in _STYLES:
        match = style.match(header)
        if match:
            field, instance, array = match.groups()
            return Column(int(field), _optional(instance), _optional(array), header)
    match = _TITLE.match(header.strip())
    if match and match.group(1).lower() in TITLES:
        return Column(TITLES[match.group(1).lower()], _optional(match.group(2)), _optional(match.group(3)), header)
    return None


def identifier_column(headers: Iterable[str]) -> str | None:
    """Return the name of the column that holds the participant identifier, or None."""
    return next((header for header in headers if header.strip().lower() in _IDENTIFIERS), None)


def columns_by_field(headers: Iterable[str]) -> dict[int, list[Column]]:
    """Return the columns of each field, in order of instance and array."""
    found: dict[int, list[Column]] = {}
    for header in headers:
        column = parse_header(header)
        if column is not None:
            found.setdefault(column.field, []).append(column)
    return {field: sorted(columns, key=lambda c: (c.instance or 0, c.array or 0)) for field, columns in found.items()}


def _optional(text: str | None) -> int | None:
    return None if text is None else int(text)
