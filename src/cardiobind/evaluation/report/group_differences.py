"""Whether a gain holds in each group of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cardiobind.evaluation.figures import Difference, differences
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.differences import SHOWN, difference_text, p_text, record
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import percent

_DRAWN = 2


def group_differences(metrics: Mapping[str, Any]) -> str:
    """Return paired differences within each subgroup as a forest and a table, or nothing where none were measured."""
    table = group_difference_table(metrics)
    if table is None:
        return ""
    words = (
        "The same paired differences within each group. An interval that leaves out zero in one group and not in "
        "another does not show that the groups differ: groups of different size have intervals of different width."
    )
    heading = html.heading("Does a gain hold in each group?")
    return heading + html.paragraph(words) + _picture(metrics) + html.paper_table(table)


def group_difference_table(metrics: Mapping[str, Any]) -> PaperTable | None:
    """Return the paired differences of each subgroup, or nothing where none were measured."""
    entries = [e for e in metrics.get("subgroup_differences", ()) if e["metric"] in SHOWN]
    if all(entry.get("difference") is None for entry in entries):
        return None
    resamples = int(metrics["resamples"])
    header = [
        "Group", "Level", "Model", "Baseline", "Task", "Inputs", "Labels", "Metric", "Test n",
        "Difference (95 % interval)", "p", "p, Holm",
    ]  # fmt: skip
    rows = [
        [
            _name(e), str(e["level"]), str(e["arm"]), str(e["baseline"]), str(e["task"]), str(e["inputs"]),
            percent(e["fraction"]), METRICS[e["metric"]].title, str(e["n"]), difference_text(e),
            p_text(e.get("p"), resamples), p_text(e.get("p_holm")),
        ]
        for e in entries
    ]  # fmt: skip
    records = [record(e) for e in metrics["subgroup_differences"]]
    notes = dict.fromkeys(
        f"{_name(e)} {e['level']}, {e['inputs']}: {e['undefined']}" for e in entries if e.get("undefined")
    )
    caption = "Paired differences within subgroups, model minus baseline"
    return PaperTable("subgroup_differences", caption, [header, *rows], records, 8, list(notes))


def _picture(metrics: Mapping[str, Any]) -> str:
    """Return the forest of the first comparison, at the most labels and on the inputs with the most subjects."""
    entries = [e for e in metrics["subgroup_differences"] if e["metric"] in SHOWN and e.get("difference") is not None]
    pair = ("task", "arm", "baseline")
    own = [e for e in entries if all(e[key] == entries[0][key] for key in pair)]
    best = max(own, key=lambda e: (e["fraction"], e["n"]))
    own = [e for e in own if (e["fraction"], e["inputs"]) == (best["fraction"], best["inputs"])]
    panels = sorted({str(e["metric"]) for e in own if METRICS[e["metric"]].better == "higher"}, key=SHOWN.index)[
        :_DRAWN
    ]
    rows = [
        Difference(
            _name(e), f"{e['level']} (n = {e['n']:,})", METRICS[e["metric"]].title,
            e["difference"], e["low"], e["high"],
            "" if e.get("p_holm") is None else f"Holm p {p_text(e['p_holm'])}",
        )
        for metric in panels for e in own if e["metric"] == metric
    ]  # fmt: skip
    if not rows:
        return ""
    title = f"{best['arm']} against {best['baseline']}, {best['inputs']}, {percent(best['fraction'])} of the labels"
    figure = differences(rows, left="baseline better", right="model better", title=title)
    alt = f"Forest of paired differences by subgroup, {title}; the numbers are in the table below."
    return html.picture(figure, alt, "Filled: the 95 % interval over test subjects leaves out zero.")


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["group"]).removeprefix("group_").replace("_", " ")
