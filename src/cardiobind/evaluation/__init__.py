"""Evaluation: predictions in; metrics with intervals, paired comparisons, pictures and a report out. No torch here."""

from cardiobind.evaluation.evaluate import evaluate
from cardiobind.evaluation.tables import markdown_table, table_rows

__all__ = ["evaluate", "markdown_table", "table_rows"]
