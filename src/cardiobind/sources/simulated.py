"""The synthetic cohort without files: the recordings, table and events that its raw files hold, made in memory."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from cardiobind.errors import ConfigError, RecordError
from cardiobind.formats import reasons
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.simulate import (
    VISIT,
    SimulationSettings,
    availability,
    draw_hearts,
    oracle,
    simulate_cine,
    simulate_ecg,
    simulate_events,
    simulate_table,
    simulate_visits,
)
from cardiobind.simulate.oracle import KNOWN
from cardiobind.simulate.table import LAST_FOLLOW_UP
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, RecordRef

SIGNALS = ("cmr", "ecg")
PHENOTYPES = ("lvef_percent", "lvedv_ml", "lvesv_ml", "lv_mass_g")


@SOURCES.register("simulated")
class SimulatedSource:
    """A synthetic cohort, drawn subject by subject from its settings; a location is the subject's index.

    Args:
        phenotypes: add to the table what an analysis of the images would measure of those who have a cine, for the
            regression endpoints: the volumes and ejection fraction that the simulator drew, without any error.
        options: fields of `cardiobind.simulate.SimulationSettings`.

    Raises:
        ConfigError: an option is unknown or out of range.
    """

    def __init__(self, *, phenotypes: bool = False, **options: Any) -> None:
        self.phenotypes = phenotypes
        try:
            self.settings = SimulationSettings(**options)
        except TypeError as error:
            raise ConfigError(f"the simulation does not take these options: {error}", where="source.options") from error

    def __repr__(self) -> str:
        return f"SimulatedSource({self.settings}{', phenotypes' if self.phenotypes else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.settings, self.phenotypes))

    def records(self) -> list[RecordRef]:
        """Return the recordings of all subjects who have them, sorted."""
        present = availability(self._hearts, self.settings)
        return sorted(
            RecordRef(str(subject), VISIT, modality, str(index))
            for modality in SIGNALS
            for index, (subject, there) in enumerate(zip(present["subject"], present[modality], strict=True))
            if there
        )

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording, quantised as in its file.

        Raises:
            RecordError: the cohort has no such subject.
        """
        if not (ref.location.isdigit() and int(ref.location) < self.settings.subjects):
            raise RecordError(reasons.MISSING_FILE, "the simulated cohort has no such subject")
        heart = draw_hearts(self.settings, int(ref.location), 1)
        if ref.modality == "cmr":
            return simulate_cine(next(heart.itertuples(index=False)), self.settings)
        return EcgRecord(simulate_ecg(heart, self.settings)[0], float(self.settings.ecg_rate_hz))

    def table(self) -> pd.DataFrame:
        """Return the features of all subjects, with gaps."""
        table = simulate_table(self._hearts)
        if not self.phenotypes:
            return table
        seen = availability(self._hearts, self.settings)["cmr"].to_numpy(dtype=bool)
        return table.assign(**{name: self._hearts[name].where(seen).to_numpy() for name in PHENOTYPES})

    def events(self) -> pd.DataFrame:
        """Return dated diagnoses, and the end of the simulation's records as the end of everybody's follow-up."""
        subjects = self._hearts["subject"].to_numpy()
        ends = {"system": "follow_up", "code": "end_of_records", "date": pd.Timestamp(LAST_FOLLOW_UP)}
        followed = pd.DataFrame({"subject": subjects, "visit": "", **ends}).astype({"date": "datetime64[ns]"})
        events = pd.concat([simulate_events(self._hearts), followed])
        return events[EVENT_COLUMNS].sort_values(EVENT_COLUMNS, ignore_index=True)

    def visits(self) -> pd.DataFrame:
        """Return the imaging visits."""
        return simulate_visits(self._hearts)

    @property
    def ceilings(self) -> tuple[str, ...]:
        """Tasks that have a ceiling."""
        return KNOWN

    def best_scores(self, task: str) -> pd.DataFrame:
        """Return the ceiling's scores, see `cardiobind.simulate.oracle`."""
        return oracle(self.settings, task)

    def issues(self) -> list[dict[str, Any]]:
        """Return nothing: a simulated cohort has no problem of its files."""
        return []

    @cached_property
    def _hearts(self) -> pd.DataFrame:
        return draw_hearts(self.settings)


def _rebuild(settings: SimulationSettings, phenotypes: bool) -> SimulatedSource:
    return SimulatedSource(phenotypes=phenotypes, **settings.to_json())
