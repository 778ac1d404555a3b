"""The stages of an experiment, one function a verb; reads like the Methods section of the paper."""

from cardiobind.pipeline import semi_supervised as semi_supervised
from cardiobind.pipeline.arms import ARMS
from cardiobind.pipeline.compare import Compared, compare_files
from cardiobind.pipeline.demo import demo, simulate
from cardiobind.pipeline.export import export_predictor
from cardiobind.pipeline.finetune import finetune
from cardiobind.pipeline.prepare import Ingest, prepare
from cardiobind.pipeline.pretrain import align, pretrain
from cardiobind.pipeline.report import report_file
from cardiobind.pipeline.results import evaluate_cells, evaluate_file
from cardiobind.pipeline.run import Result, load, run, run_shard, run_until
from cardiobind.pipeline.selection import Selection
from cardiobind.pipeline.withdrawals import count_withdrawn

__all__ = [
    "ARMS",
    "Compared",
    "Ingest",
    "Result",
    "Selection",
    "align",
    "compare_files",
    "count_withdrawn",
    "demo",
    "evaluate_cells",
    "evaluate_file",
    "export_predictor",
    "finetune",
    "load",
    "prepare",
    "pretrain",
    "report_file",
    "run",
    "run_shard",
    "run_until",
    "simulate",
]
