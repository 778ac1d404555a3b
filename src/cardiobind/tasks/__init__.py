"""Clinical endpoints as a table, and the one rule that turns coded events into labels."""

from cardiobind.tasks.codes import (
    CodeSet,
    death,
    icd9,
    icd10,
    opcs4,
    scp,
    self_report,
    self_report_operation,
    touchscreen,
    ukb_algorithm,
)
from cardiobind.tasks.describe import describe_codes, describe_tasks
from cardiobind.tasks.endpoints import SOURCES_OF_CODES
from cardiobind.tasks.events import UNKNOWN_DATES, EventTable
from cardiobind.tasks.kinds import KINDS, Kind
from cardiobind.tasks.labelling import LABEL_COLUMNS, REASONS, applicable, label
from cardiobind.tasks.task import TASKS, Task, Timing, kind_of

__all__ = [
    "KINDS",
    "LABEL_COLUMNS",
    "REASONS",
    "SOURCES_OF_CODES",
    "TASKS",
    "UNKNOWN_DATES",
    "CodeSet",
    "EventTable",
    "Kind",
    "Task",
    "Timing",
    "applicable",
    "death",
    "describe_codes",
    "describe_tasks",
    "icd9",
    "icd10",
    "kind_of",
    "label",
    "opcs4",
    "scp",
    "self_report",
    "self_report_operation",
    "touchscreen",
    "ukb_algorithm",
]
