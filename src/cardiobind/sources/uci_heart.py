"""The UCI heart disease data: 14 columns of four hospitals, one to learn from and three to be tested on.

Source: Janosi et al. (1988), doi:10.24432/C52P4X; columns and codes as in ``heart-disease.names``.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind import rng
from cardiobind.errors import ConfigError, InputError, RecordError
from cardiobind.formats import reasons
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.registry import did_you_mean
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
COLUMNS = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal",
    "num",
)  # fmt: skip
MMOL_PER_MG_OF_CHOLESTEROL = 1 / 38.67
VALIDATION_SHARE, VALIDATION_FOLD, TEST_FOLD, TRAINING_FOLDS = 0.25, 9, 10, 8
SYSTEM, NARROWED = "uci", "NARROWED"
VISIT = "1"


@SOURCES.register("uci_heart")
class UciHeartSource:
    """A copy of ``processed.*.data``; a subject is a row of a hospital's file, without signals.

    Folds are by hospital: those of `training` are dealt to training (1 to 8) and validation (9, a quarter), those of
    all other hospitals test (10). A cholesterol or pressure of 0 is a missing one.

    Args:
        root: folder of the four files.
        training: hospital to learn from.

    Raises:
        ConfigError: there is no such hospital.
        InputError: the folder lacks its file.
    """

    def __init__(self, root: Path | str, training: str = "cleveland") -> None:
        self.root, self.training = Path(root), training
        if training not in HOSPITALS:
            raise ConfigError("no such hospital", where="source.options.training", got=training,
                              hint=did_you_mean(training, HOSPITALS))  # fmt: skip
        if not _file(self.root, training).is_file():
            raise InputError(
                "a file of the data is not there", where=self.root, expected=_file(self.root, training).name
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return (UciHeartSource, (self.root, self.training))

    def records(self) -> list[RecordRef]:
        """Return nothing: the data have no signals."""
        return []

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Raise that there is no such recording.

        Raises:
            RecordError: always.
        """
        raise RecordError(reasons.MISSING_FILE, "the data have no signals")

    def table(self) -> pd.DataFrame:
        """Return subject, visit, the features under their names and units, and the fold."""
        rows = self._rows
        pain, ecg, thallium = rows["cp"], rows["restecg"], rows["thal"]
        return self._keys.assign(
            age_years=rows["age"], sex=rows["sex"].map({0.0: "female", 1.0: "male"}).astype(object),
            sbp_mmhg=rows["trestbps"].where(rows["trestbps"] > 0),
            cholesterol_mmol_l=rows["chol"].where(rows["chol"] > 0) * MMOL_PER_MG_OF_CHOLESTEROL,
            chest_pain_typical=_is(pain, 1), chest_pain_atypical=_is(pain, 2), chest_pain_other=_is(pain, 3),
            fasting_glucose_high=rows["fbs"], rest_ecg_st_t=_is(ecg, 1), rest_ecg_hypertrophy=_is(ecg, 2),
            exercise_heart_rate_bpm=rows["thalach"], exercise_angina=rows["exang"],
            exercise_st_depression_mm=rows["oldpeak"], exercise_st_slope=rows["slope"], coloured_vessels=rows["ca"],
            thallium_fixed_defect=_is(thallium, 6), thallium_reversible_defect=_is(thallium, 7),
            fold=[self._fold(s, h) for s, h in zip(self._keys["subject"], rows["hospital"], strict=True)],
        )  # fmt: skip

    def events(self) -> pd.DataFrame:
        """Return who has a coronary artery narrowed by more than half (`num` above 0), in system "uci"."""
        narrowed = self._keys[(self._rows["num"] > 0).to_numpy()]
        return narrowed.assign(system=SYSTEM, code=NARROWED, date=_no_date(len(narrowed)))[EVENT_COLUMNS]

    def visits(self) -> pd.DataFrame:
        """Return the one visit of each subject, its date unknown."""
        return self._keys.assign(date=_no_date(len(self._keys)))[VISIT_COLUMNS]

    def issues(self) -> list[dict[str, Any]]:
        """Return nothing: what is out of range is found with the table."""
        return []

    @cached_property
    def _rows(self) -> pd.DataFrame:
        found = [h for h in HOSPITALS if _file(self.root, h).is_file()]
        frames = [_read(_file(self.root, h)).assign(hospital=h, place=lambda f: np.arange(len(f))) for h in found]
        return pd.concat(frames, ignore_index=True)

    @property
    def _keys(self) -> pd.DataFrame:
        subjects = [f"{h}-{place:03d}" for h, place in zip(self._rows["hospital"], self._rows["place"], strict=True)]
        return pd.DataFrame({"subject": subjects, "visit": VISIT})

    def _fold(self, subject: str, hospital: str) -> int:
        if hospital != self.training:
            return TEST_FOLD
        place = rng.uniform(0, "sources.uci_heart", subject)
        if place < VALIDATION_SHARE:
            return VALIDATION_FOLD
        return 1 + int((place - VALIDATION_SHARE) / (1 - VALIDATION_SHARE) * TRAINING_FOLDS)


def _file(root: Path, hospital: str) -> Path:
    return root / f"processed.{hospital}.data"


def _read(file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file, header=None, na_values=["?", "-9", "-9.0"])
    if frame.shape[1] != len(COLUMNS):
        raise InputError("not the columns of the processed data", where=file, expected=len(COLUMNS), got=frame.shape[1])
    numbers = [pd.to_numeric(frame[place], errors="coerce") for place in frame]
    return pd.DataFrame(dict(zip(COLUMNS, numbers, strict=True)), dtype=np.float64)


def _is(codes: pd.Series, code: int) -> pd.Series:
    return (codes == code).astype(np.float64).where(codes.notna())


def _no_date(count: int) -> NDArray[np.datetime64]:
    return np.full(count, "NaT", dtype="datetime64[ns]")
