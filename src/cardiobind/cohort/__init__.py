"""The prepared store: build (parallel, restartable, with quarantine), open, split, audit."""

from cardiobind.cohort.audit.leakage import Finding, audit_leakage, refuse_leaks
from cardiobind.cohort.build import build_cohort, prepare_shard
from cardiobind.cohort.ingest.guard import Limits
from cardiobind.cohort.ingest.locks import Shard
from cardiobind.cohort.protocol import Protocol, make_protocol
from cardiobind.cohort.remote import open_remote
from cardiobind.cohort.splits import SPLITS, assign_splits, check_splits, label_subset
from cardiobind.cohort.store import Cohort

__all__ = [
    "SPLITS",
    "Cohort",
    "Finding",
    "Limits",
    "Protocol",
    "Shard",
    "assign_splits",
    "audit_leakage",
    "build_cohort",
    "check_splits",
    "label_subset",
    "make_protocol",
    "open_remote",
    "prepare_shard",
    "refuse_leaks",
]
