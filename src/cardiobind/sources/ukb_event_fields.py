"""The fields of UK Biobank that hold events, as data.

Numbers of first occurrences run by two from chapter I's first code on, each beside a field that names its source
(category 2409); algorithmically-defined outcomes are category 42; answers of the touchscreen are category 100044;
interpolated years belong to the interview (categories 100074 and 100076).
"""

from __future__ import annotations

from collections.abc import Mapping

LISTS: tuple[tuple[str, tuple[tuple[int, int | None], ...], tuple[tuple[int, int | None], ...]], ...] = (
    ("icd10", ((41270, 41280),), ((41202, 41262), (41204, None))),
    ("icd9", ((41271, 41281),), ((41203, 41263), (41205, None))),
    ("opcs4", ((41272, 41282),), ((41200, 41260), (41210, None))),
)
"""System; (codes, dates) of all hospital codes; those of main and of secondary ones, for tables without the former."""

DEATH_DATE, DEATH_CAUSES = 40000, (40001, 40002)
LOST = 191
FIRST_OCCURRENCE = {
    130706: "E10", 130708: "E11", 130710: "E12", 130712: "E13", 130714: "E14",
    131296: "I20", 131298: "I21", 131300: "I22", 131302: "I23", 131304: "I24", 131306: "I25", 131338: "I42",
    131350: "I48", 131354: "I50", 131360: "I60", 131362: "I61", 131366: "I63", 131368: "I64",
}  # fmt: skip
ALGORITHMIC = (42000, 42002, 42004, 42006, 42008, 42010, 42012)
"""Dates of infarction, STEMI, NSTEMI, stroke, ischaemic, intracerebral and subarachnoid haemorrhagic stroke."""

INTERVIEW = ((20002, 20008, "self_report"), (20004, 20010, "self_report_operation"))
"""Codes, the interpolated years that belong to them, and the coding system."""
TOUCHSCREEN: Mapping[int, Mapping[str, int]] = {
    6150: {"1": 3894, "2": 3627, "3": 4056, "4": 2966},
    2443: {"1": 2976},
}
"""Answer -> field of the age at which a doctor said so: heart attack, angina, stroke, high blood pressure; diabetes."""
YEAR_OF_BIRTH, MONTH_OF_BIRTH, VISIT_DATE, CENTRE = 34, 52, 53, 54

SCOTLAND = frozenset({"11004", "11005", "glasgow", "edinburgh"})
WALES = frozenset({"11003", "11022", "11023", "cardiff", "swansea", "wrexham"})
ENGLAND = frozenset(
    {"10003", "11001", "11002", "11006", "11007", "11008", "11009", "11010", "11011", "11012", "11013", "11014",
     "11016", "11017", "11018", "11020", "11021", "11024", "11025", "11026", "11027", "11028", "stockport (pilot)",
     "manchester", "oxford", "stoke", "reading", "bury", "newcastle", "leeds", "bristol", "barts", "nottingham",
     "sheffield", "liverpool", "middlesborough", "hounslow", "croydon", "birmingham", "cheadle (revisit)",
     "cheadle (imaging)", "reading (imaging)", "newcastle (imaging)", "bristol (imaging)"}
)  # fmt: skip
COUNTRIES = {"england": ENGLAND, "scotland": SCOTLAND, "wales": WALES}
"""Assessment centres (field 54, coding 10) by the country whose hospitals report a participant."""

LABELS: Mapping[int, Mapping[str, str]] = {
    20002: {
        "angina": "1074", "heart attack/myocardial infarction": "1075", "heart failure/pulmonary odema": "1076",
        "cardiomyopathy": "1079", "stroke": "1081", "subarachnoid haemorrhage": "1086", "diabetes": "1220",
        "gestational diabetes": "1221", "type 1 diabetes": "1222", "type 2 diabetes": "1223",
        "atrial fibrillation": "1471", "atrial flutter": "1483", "brain haemorrhage": "1491",
        "ischaemic stroke": "1583",
    },
    20004: {
        "coronary angioplasty (ptca) +/- stent": "1070", "coronary artery bypass grafts (cabg)": "1095",
        "triple heart bypass": "1523",
    },
    6150: {"heart attack": "1", "angina": "2", "stroke": "3", "high blood pressure": "4"},
    2443: {"yes": "1"},
    52: {
        "january": "1", "february": "2", "march": "3", "april": "4", "may": "5", "june": "6", "july": "7",
        "august": "8", "september": "9", "october": "10", "november": "11", "december": "12",
    },
}  # fmt: skip
"""Words that stand for codes in tables of the REPLACEd coding (codings 6, 5, 100605, 100349, 8)."""

EVENT_FIELDS = (
    *(f for _, whole, parts in LISTS for pair in (*whole, *parts) for f in pair if f is not None),
    DEATH_DATE, *DEATH_CAUSES, LOST, *FIRST_OCCURRENCE, *ALGORITHMIC,
    *(f for codes, years, _ in INTERVIEW for f in (codes, years)),
    *(f for question, ages in TOUCHSCREEN.items() for f in (question, *ages.values())),
    YEAR_OF_BIRTH, MONTH_OF_BIRTH, CENTRE,
)  # fmt: skip
