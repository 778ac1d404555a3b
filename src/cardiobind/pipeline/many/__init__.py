"""Thousands of subjects from raw files: prepared side by side, one row each, whatever their files are like."""

from cardiobind.pipeline.many.cases import Cases, cases_of
from cardiobind.pipeline.many.predict import predict_many

__all__ = ["Cases", "cases_of", "predict_many"]
