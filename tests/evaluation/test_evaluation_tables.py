"""Tables as files: what a program reads back, and what LaTeX and Markdown can print."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pandas as pd
import pytest

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.report.differences import differences_table, record
from cardiobind.evaluation.report.results import results_table
from cardiobind.evaluation.table_files import (
    LONGEST_FLOAT_ROWS,
    PaperTable,
    csv_text,
    latex_escape,
    latex_text,
    markdown_text,
    write_tables,
)
from evaluation_fakes import make_predictions


def table(rows: int = 2) -> PaperTable:
    body = [[f"a_{i} & b|c", "−0.10 (−0.20–0.05)"] for i in range(rows)]
    records = [{"model": f"a_{i}", "value": -0.1, "low": None} for i in range(rows)]
    return PaperTable("one", "50 % of #1", [["Model", "R²"], *body], records, 1, ["100 % undefined"])


@pytest.mark.parametrize(
    ("text", "printed"),
    [("a_b", r"a\_b"), ("50 %", r"50 \%"), ("−1", "$-$1"), ("R²", r"R\textsuperscript{2}"), ("\\", r"\textbackslash{}"),
     ("a & b # $ { } ~ ^", r"a \& b \# \$ \{ \} \textasciitilde{} \textasciicircum{}"), ("0.1–0.2", "0.1--0.2")],
)  # fmt: skip
def test_latex_prints_each_letter(text: str, printed: str) -> None:
    assert latex_escape(text) == printed


@pytest.mark.parametrize("rows", [2, LONGEST_FLOAT_ROWS + 1])
def test_latex_has_equal_columns_in_every_row(rows: int) -> None:
    text = latex_text(table(rows))
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and "caption" not in line]
    assert len(lines) == rows + 1
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {1}
    assert ("longtable" in text) is (rows > LONGEST_FLOAT_ROWS)
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert not re.search(r"(?<!\\)[%#_]", text.replace("tab:", ""))
    assert text.isascii()


def test_markdown_keeps_its_columns() -> None:
    lines = [line for line in markdown_text(table()).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[1] == "| --- | ---: |"


def test_csv_is_read_back_and_is_no_formula() -> None:
    read = pd.read_csv(io.StringIO(csv_text([{"a": "=1+1", "b": 0.1 + 0.2}, {"b": 1.0, "c": 'x,"y"'}])))
    assert list(read.columns) == ["a", "b", "c"]
    assert read["a"][0] == "'=1+1"
    assert read["b"][0] == 0.1 + 0.2
    assert read["c"][1] == 'x,"y"'


def test_the_tables_of_results_hold_every_metric_unrounded(tmp_path: Path) -> None:
    metrics = evaluate(make_predictions(), resamples=20, comparisons=[("aligned", "scratch")])
    write_tables(tmp_path, [results_table(metrics, "binary"), differences_table(metrics)])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{n}.{e}" for n in ("results_binary", "differences") for e in ("csv", "md", "tex")}
    read = pd.read_csv(tmp_path / "results_binary.csv")
    first = read[(read["arm"] == "aligned") & (read["metric"] == "auroc")].iloc[0]
    assert first["value"] == metrics["cells"][0]["metrics"]["auroc"]["value"]
    assert set(read["metric"]) == set(metrics["cells"][0]["metrics"])
    compared = pd.read_csv(tmp_path / "differences.csv")
    assert len(compared) == len(metrics["comparisons"])
    assert not any("SIM-" in path.read_text() for path in tmp_path.iterdir())


def test_a_record_is_flat() -> None:
    entry = {"p": 0.1, "delong": {"p": 0.2, "deep": {"z": 1}}, "seeds": [0, 1]}
    assert record(entry) == {"p": 0.1, "delong.p": 0.2, "delong.deep.z": 1, "seeds": "0 1"}
