"""The report: one HTML file that needs nothing else."""

from cardiobind.evaluation.report.content import Example, Picture, Reconstruction, Report
from cardiobind.evaluation.report.write import render, write_papers, write_report

__all__ = ["Example", "Picture", "Reconstruction", "Report", "render", "write_papers", "write_report"]
