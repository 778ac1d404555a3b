"""All tables of a report, for a paper."""

from __future__ import annotations

from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.differences import differences_table
from cardiobind.evaluation.report.efficiency import factor_table, gap_table
from cardiobind.evaluation.report.group_differences import group_difference_table
from cardiobind.evaluation.report.modalities import gain_table, subgroup_table
from cardiobind.evaluation.report.results import results_table
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import kinds_of


def paper_tables(report: Report) -> list[PaperTable]:
    """Return the tables of a report that have rows."""
    metrics = report.metrics
    found = [results_table(metrics, kind) for kind in kinds_of(metrics)]
    found.append(differences_table(metrics))
    rest = [factor_table(metrics), gap_table(metrics), gain_table(metrics), subgroup_table(metrics)]
    rest.append(group_difference_table(metrics))
    return [table for table in [*found, *rest] if table is not None and len(table.rows) > 1]
