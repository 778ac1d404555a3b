"""The report: one HTML file that needs nothing else."""

from cardiobind.evaluation.report.content import Reconstruction, Report
from cardiobind.evaluation.report.paper import paper_tables
from cardiobind.evaluation.report.write import render, write_report

__all__ = ["Reconstruction", "Report", "paper_tables", "render", "write_report"]
