"""The prepared store: build (parallel, restartable, with quarantine), open, split, audit."""

from cardiobind.cohort.build import build_cohort
from cardiobind.cohort.leakage import Finding, audit_leakage, refuse_leaks
from cardiobind.cohort.protocol import Protocol, make_protocol
from cardiobind.cohort.splits import SPLITS, assign_splits, check_splits, label_subset
from cardiobind.cohort.store import Cohort

__all__ = [
    "SPLITS",
    "Cohort",
    "Finding",
    "Protocol",
    "assign_splits",
    "audit_leakage",
    "build_cohort",
    "check_splits",
    "label_subset",
    "make_protocol",
    "refuse_leaks",
]
