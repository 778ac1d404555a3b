"""Sets of codes by coding system: prefixes for ICD and OPCS, whole codes for every other system.

The systems of UK Biobank (fields in brackets), as `cardiobind.sources.ukb_events` writes them:

======================== =========================================================================================
``icd10``, ``icd9``       hospital diagnoses (41270, 41271), causes of death (40001, 40002), first occurrences
``opcs4``                 operations in hospital (41272)
``self_report``           illness told in the interview (20002, coding 6)
``self_report_operation`` operation told in the interview (20004, coding 5)
``touchscreen``           answers such as ``"6150:1"`` (heart attack diagnosed by a doctor), field and code
``ukb_algorithm``         algorithmically defined outcome, by the field of its date (``"42000"`` for infarction)
``death``                 ``"any"``: death of whatever cause (40000)
``follow_up``             ``"lost"`` (191) or ``"end_of_records"``: no event is known after it
======================== =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PREFIXED = frozenset({"icd10", "icd9", "opcs4"})
"""Systems whose codes are a tree: a code of a set stands for all that begin with it."""
APPROXIMATE = frozenset({"self_report", "self_report_operation", "touchscreen"})
"""Systems whose dates are a year that somebody remembered."""
DEATH, FOLLOW_UP = "death", "follow_up"


@dataclass(frozen=True)
class CodeSet:
    """Codes by coding system; ``a | b`` is the set of both.

    Attributes:
        codes: (system, code) pairs; dots, case and spaces around ICD and OPCS codes do not matter.
        alone: codes of the same systems beside which an event does not count ("NORM alone").
    """

    codes: tuple[tuple[str, str], ...] = ()
    alone: tuple[tuple[str, str], ...] = ()

    @property
    def systems(self) -> frozenset[str]:
        """Coding systems of which the set has codes."""
        return frozenset(system for system, _ in self.codes)

    def matches(self, system: str, code: str) -> bool:
        """Tell whether one event's code is in the set."""
        return matches(self.codes, system, code)

    def __or__(self, other: CodeSet) -> CodeSet:
        both = (dict.fromkeys(self.codes + other.codes), dict.fromkeys(self.alone + other.alone))
        return CodeSet(*map(tuple, both))


def icd10(*prefixes: str) -> CodeSet:
    """Return the set of all ICD-10 codes that begin with one of `prefixes`."""
    return _of("icd10", prefixes)


def icd9(*prefixes: str) -> CodeSet:
    """Return the set of all ICD-9 codes that begin with one of `prefixes`."""
    return _of("icd9", prefixes)


def opcs4(*prefixes: str) -> CodeSet:
    """Return the set of all OPCS-4 codes of operations that begin with one of `prefixes`."""
    return _of("opcs4", prefixes)


def self_report(*codes: str) -> CodeSet:
    """Return the set of illnesses of field 20002 (coding 6), whole codes."""
    return _of("self_report", codes)


def self_report_operation(*codes: str) -> CodeSet:
    """Return the set of operations of field 20004 (coding 5), whole codes."""
    return _of("self_report_operation", codes)


def touchscreen(*answers: str) -> CodeSet:
    """Return the set of answers ``"field:code"``, as ``"6150:1"``."""
    return _of("touchscreen", answers)


def ukb_algorithm(*fields: int) -> CodeSet:
    """Return the set of algorithmically defined outcomes, each by the field of its date."""
    return _of("ukb_algorithm", map(str, fields))


def death() -> CodeSet:
    """Return the set of deaths of any cause."""
    return CodeSet(((DEATH, "any"),))


def scp(code: str, *, alone_of: Iterable[str] = ()) -> CodeSet:
    """Return one SCP statement or superclass, if wanted only where none of `alone_of` is beside it."""
    return CodeSet((("scp", code),), tuple(("scp", other) for other in alone_of))


def matches(codes: tuple[tuple[str, str], ...], system: str, code: str) -> bool:
    """Tell whether an event's code is one of `codes`, or begins with one in a system of prefixes."""
    wanted = tuple(normal(system, other) for s, other in codes if s == system)
    found = normal(system, code)
    return found.startswith(wanted) if system in PREFIXED else found in wanted


def normal(system: str, code: str) -> str:
    """Return a code as it is compared: ICD and OPCS in capitals without dots (``" i21.4 "`` is ``"I214"``)."""
    return code.replace(".", "").strip().upper() if system in PREFIXED else code.strip()


def _of(system: str, codes: Iterable[str]) -> CodeSet:
    return CodeSet(tuple((system, normal(system, code)) for code in codes))
