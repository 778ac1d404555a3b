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
from cardiobind.tasks.labelling import LABEL_COLUMNS, REASONS, applicable, label
from cardiobind.tasks.task import KINDS, TASKS, TRAINABLE_KINDS, Task, Timing, check_trainable

__all__ = [
    "KINDS",
    "LABEL_COLUMNS",
    "REASONS",
    "SOURCES_OF_CODES",
    "TASKS",
    "TRAINABLE_KINDS",
    "UNKNOWN_DATES",
    "CodeSet",
    "EventTable",
    "Task",
    "Timing",
    "applicable",
    "check_trainable",
    "death",
    "describe_codes",
    "describe_tasks",
    "icd9",
    "icd10",
    "label",
    "opcs4",
    "scp",
    "self_report",
    "self_report_operation",
    "touchscreen",
    "ukb_algorithm",
]
