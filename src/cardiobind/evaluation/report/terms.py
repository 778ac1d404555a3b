"""What the short names of a report stand for, told once and before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cardiobind.evaluation.tables import kinds_of
from cardiobind.tasks import TASKS

_INPUTS = {
    "ecg": "12-lead ECG", "cmr": "cine cardiac MRI, short axis", "tabular": "medical facts from the table",
}  # fmt: skip
_MEASURES = {
    "binary": (
        "AUROC: area under the ROC curve (chance 0.5)", "AUPRC: area under precision over recall (chance: the "
        "prevalence)", "balanced accuracy: mean of sensitivity and specificity (chance 0.5)",
        "Brier: mean squared error of the score, lower is better", "ECE: expected calibration error, lower is better",
        "calibration slope: 1 is ideal, below it scores are too extreme; intercept: 0 is ideal, below it too high",
    ),
    "multilabel": ("macro AUROC, AUPRC: means over the labels of the areas under ROC and precision over recall",),
    "regression": (
        "R²: share of the variance that is explained", "MAE, RMSE: mean absolute and root mean squared error, in the "
        "unit of the endpoint",
    ),
    "survival": ("concordance: share of pairs in which who has the event earlier has the higher risk (chance 0.5)",),
}  # fmt: skip


def task_title(name: str) -> str:
    """Return an endpoint's title, or its name where it is not registered; what follows ``: `` is a label of it."""
    name = name.partition(": ")[0]
    return TASKS.get(name).title if name in TASKS.names() else name


def told(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the endpoints, inputs and measures of these results are, an entry each."""
    cells = metrics["cells"]
    tasks = dict.fromkeys(str(cell["task"]).partition(": ")[0] for cell in cells)
    inputs = {name for cell in cells for name in str(cell["inputs"]).split("+")}
    return [
        *(f"{name}: {task_title(name)}" for name in tasks if task_title(name) != name),
        *(f"{name}: {words}" for name, words in _INPUTS.items() if name in inputs),
        *(words for kind in kinds_of(metrics) for words in _MEASURES.get(kind, ())),
    ]
