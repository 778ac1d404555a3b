"""The synthetic cohort: one latent heart a subject drives an ECG, a cine MRI and a table, with known truth."""

from cardiobind.simulate.cine import simulate_cine
from cardiobind.simulate.cohort import write_raw
from cardiobind.simulate.ecg import simulate_ecg
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.oracle import oracle
from cardiobind.simulate.settings import VISIT, SimulationSettings, eid
from cardiobind.simulate.table import availability, simulate_events, simulate_table, simulate_visits

__all__ = [
    "VISIT",
    "SimulationSettings",
    "availability",
    "draw_hearts",
    "eid",
    "oracle",
    "simulate_cine",
    "simulate_ecg",
    "simulate_events",
    "simulate_table",
    "simulate_visits",
    "write_raw",
]
