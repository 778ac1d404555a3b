"""The words that UK Biobank writes in place of codes (REPLACEd coding), in lower case, by field.

Source: the formats that UK Biobank's own converter writes beside a SAS table, as published with analyses of it, and the
codings of the Showcase.
"""

from __future__ import annotations

from collections.abc import Mapping

NO_ANSWER_LABELS: Mapping[str, tuple[int, ...]] = {
    "do not know": (-1, -121),
    "prefer not to answer": (-3, -818),
    "preferred not to answer": (-3,),
    "none of the above": (-7,),
    "unable to walk": (-2,),
    "unable to walk on the level": (-1,),
    "do not know (group 1)": (-11,),
    "do not know (group 2)": (-21,),
    "prefer not to answer (group 1)": (-13,),
    "prefer not to answer (group 2)": (-23,),
    "not sure": (-5,),
    "ongoing when data entered": (-313,),
    "never drunk": (-906,),
}
"""Each with the codes it has in one coding or another; which of them is meant a field's own coding says."""

LESS_THAN_ONE_LABELS = ("less than one", "less than an hour a day", "less than one a day", "less than one mile")
NONE_LABELS: Mapping[str, int] = {
    "none of the above": -7, "none of the above (group 1)": -17, "none of the above (group 2)": -27,
}  # fmt: skip
"""In a list of answers these are one: nothing of it."""

_MEDICATION = {
    "cholesterol lowering medication": 1, "blood pressure medication": 2, "insulin": 3,
    "hormone replacement therapy": 4, "oral contraceptive pill or minipill": 5,
}  # fmt: skip
_RELATIVE = {"heart disease": 1, "stroke": 2, "high blood pressure": 8, "diabetes": 9}
_MEALS = {
    "never": 0, "less than once a week": 1, "once a week": 2, "2-4 times a week": 3, "5-6 times a week": 4,
    "once or more daily": 5,
}  # fmt: skip
_TIMES = {
    "once in the last 4 weeks": 1, "2-3 times in the last 4 weeks": 2, "once a week": 3, "2-3 times a week": 4,
    "4-5 times a week": 5, "every day": 6,
}  # fmt: skip
_LENGTHS = {
    "less than 15 minutes": 1, "between 15 and 30 minutes": 2, "between 30 minutes and 1 hour": 3,
    "between 1 and 1.5 hours": 4, "between 1 hour and 1.5 hours": 4, "between 1.5 and 2 hours": 5,
    "between 1.5 hours and 2 hours": 5, "between 2 and 3 hours": 6, "between 2 hours and 3 hours": 6,
    "over 3 hours": 7,
}  # fmt: skip
_SMOKING = {"never": 0, "previous": 1, "current": 2}

LABELS: Mapping[int, Mapping[str, int]] = {
    31: {"female": 0, "male": 1},
    20116: _SMOKING,
    20117: _SMOKING,
    1558: {
        "daily or almost daily": 1, "three or four times a week": 2, "once or twice a week": 3,
        "one to three times a month": 4, "special occasions only": 5, "never": 6,
    },
    1349: _MEALS, 1369: _MEALS, 1379: _MEALS, 1389: _MEALS,
    2178: {"excellent": 1, "good": 2, "fair": 3, "poor": 4},
    6150: {"heart attack": 1, "angina": 2, "stroke": 3, "high blood pressure": 4},
    6177: _MEDICATION, 6153: _MEDICATION,
    20107: _RELATIVE, 20110: _RELATIVE, 20111: _RELATIVE,
    20004: {"coronary angioplasty (ptca) +/- stent": 1070, "coronary artery bypass grafts (cabg)": 1095},
    924: {"slow pace": 1, "steady average pace": 2, "brisk pace": 3},
    943: {
        "none": 0, "1-5 times a day": 1, "6-10 times a day": 2, "11-15 times a day": 3, "16-20 times a day": 4,
        "more than 20 times a day": 5,
    },
    971: _TIMES, 991: _TIMES, 2634: _TIMES, 3637: _TIMES,
    981: _LENGTHS, 1001: _LENGTHS, 1021: _LENGTHS, 2644: _LENGTHS, 3647: _LENGTHS,
    1200: {"never/rarely": 1, "sometimes": 2, "usually": 3},
    1239: {"no": 0, "yes, on most or all days": 1, "only occasionally": 2},
    1249: {
        "smoked on most or all days": 1, "smoked occasionally": 2, "just tried once or twice": 3,
        "i have never smoked": 4,
    },
    1259: {"no": 0, "yes, one household member smokes": 1, "yes, more than one household member smokes": 2},
    1618: {"no": 0, "yes": 1, "it varies": -6},
    2296: {"no falls": 1, "only one fall": 2, "more than one fall": 3},
    2306: {"no - weigh about the same": 0, "yes - gained weight": 2, "yes - lost weight": 3},
    20403: {"1 or 2": 1, "3 or 4": 2, "5 or 6": 3, "7, 8 or 9": 4, "7, 8, or 9": 4, "10 or more": 5},
    20414: {
        "never": 0, "monthly or less": 1, "2 to 4 times a month": 2, "2 to 3 times a week": 3,
        "4 or more times a week": 4,
    },
    20416: {"never": 1, "less than monthly": 2, "monthly": 3, "weekly": 4, "daily or almost daily": 5},
}  # fmt: skip
