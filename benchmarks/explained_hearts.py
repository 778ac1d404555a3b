"""Simulated hearts with an infarct, the same hearts without it, and where the difference lies in the signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.modalities.cmr.heart_crop import crop_square
from cardiobind.modalities.cmr.preparation import CmrPreparation, PreparedCine, prepare_cmr
from cardiobind.modalities.ecg.preparation import EcgPreparation, prepare_ecg
from cardiobind.modalities.records import LEADS, EcgRecord
from cardiobind.rng import generator
from cardiobind.simulate import SimulationSettings, simulate_cine, simulate_ecg
from cardiobind.simulate.anatomy import segment_columns
from cardiobind.simulate.contours import _profile, contours
from cardiobind.simulate.heart import Draws, draw_hearts
from cardiobind.simulate.thorax import grid_mm
from cardiobind.simulate.ventricle import conduction, left_ventricle

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ECG = EcgPreparation(rate_hz=100)
CMR = CmrPreparation(size_px=64)
TERRITORY_LEADS = {
    0: ("V1", "V2", "V3", "V4"), 1: ("II", "III", "aVF"), 2: ("I", "aVL", "V5", "V6"),
}  # fmt: skip
"""Leads over the territory of LAD, RCA and LCx (anterior, inferior, lateral): Thygesen et al., Circulation 2018."""
LARGE, SCARRED = 0.05, 0.25
"""Share of the ventricle from which an infarct counts as one; transmurality from which a segment counts as scarred."""
_ALTERED = 0.2


def settings(subjects: int, seed: int) -> SimulationSettings:
    """Return a cohort in which half have an infarction, one mid slice a cine, images as in the demo."""
    return SimulationSettings(
        subjects=subjects, seed=seed, mi_prevalence=0.5, slices=1, phases=12, image_px=96, pixel_spacing_mm=2.4
    )


def hearts(subjects: int, seed: int) -> pd.DataFrame:
    """Return hearts without bundle branch block, whose scar is large (label 1) or none (label 0)."""
    found = draw_hearts(settings(subjects, seed))
    clear = (found["infarct_size"] == 0) | (found["infarct_size"] >= LARGE)
    kept = found[clear & ~found["lbbb"].astype(bool) & ~found["rbbb"].astype(bool)].reset_index(drop=True)
    return kept.assign(label=(kept["infarct_size"] > 0).astype(float))


def without_scar(found: pd.DataFrame) -> pd.DataFrame:
    """Return the same hearts as they would be had they had no infarct; noise and beats stay the same."""
    healthy = found.copy()
    healthy[segment_columns("scar")] = 0.0
    healthy["infarct_size"], healthy["territory"] = 0.0, -1
    rows = []
    for i in range(len(healthy)):
        row = healthy.iloc[[i]]
        draws = Draws.of_subjects(int(row["seed"].iloc[0]), int(row["subject_index"].iloc[0]), 1)
        state: dict[str, NDArray[Any]] = {name: row[name].to_numpy() for name in row.columns}
        state |= left_ventricle(draws, state)
        state |= conduction(draws, state)
        rows.append(pd.DataFrame(state))
    return pd.concat(rows, ignore_index=True)


def ecgs(found: pd.DataFrame) -> NDArray[np.int16]:
    """Return prepared ECGs (n, 12, samples) in microvolts."""
    raw = simulate_ecg(found, settings(1, 0))
    return np.stack([prepare_ecg(EcgRecord(one, 500.0), ECG) for one in raw])


def change(found: pd.DataFrame) -> Floats:
    """Return by how much an infarct alters the ECG, (n, 12, samples) in microvolts."""
    return np.abs(ecgs(found).astype(np.float64) - ecgs(without_scar(found)))


def altered(change: Floats) -> Mask:
    """Return where it alters it by a fifth of its largest alteration or more."""
    return np.asarray(change >= _ALTERED * change.max(axis=(1, 2), keepdims=True))


def territory_leads(found: pd.DataFrame) -> Mask:
    """Return the leads over the infarct by its artery, (n, 12)."""
    return np.array([[lead in TERRITORY_LEADS[int(where)] for lead in LEADS] for where in found["territory"]])


@dataclass(frozen=True)
class Cines:
    """Prepared cines, the wall of the left ventricle, and its part that is scarred: (n, planes, rows, columns)."""

    frames: NDArray[np.uint8]
    wall: Mask
    scar: Mask


def cines(found: pd.DataFrame, *, masks: bool) -> Cines:
    """Return cines as a bundle prepares them, and where the wall and its scar lie in them."""
    frames, walls, scars = [], [], []
    for heart, healthy in zip(_rows(found), _rows(without_scar(found) if masks else found), strict=True):
        prepared = prepare_cmr(simulate_cine(heart, settings(1, 0)), CMR)
        frames.append(prepared.frames)
        if masks:
            wall, scar = _sectors(heart, healthy, prepared)
            walls.append(wall)
            scars.append(scar)
    nothing = np.zeros((0, *frames[0].shape), dtype=bool)
    return Cines(np.stack(frames), np.stack(walls) if masks else nothing, np.stack(scars) if masks else nothing)


def _sectors(heart: Any, healthy: Any, prepared: PreparedCine) -> tuple[Mask, Mask]:
    """Return the band that the wall takes, or would take had it moved, and its angles where the scar is."""
    own = settings(1, 0)
    now, before = contours(heart, own), contours(healthy, own)
    rng = generator(int(heart.seed), "simulate.cine", int(heart.subject_index))
    middle = np.array([-4.0, 7.0]) + np.array([7.0, 8.0]) * rng.standard_normal(2)
    right, down = grid_mm(own, middle + 1.6 * rng.standard_normal((own.slices, 2))[0])
    radius = np.hypot(right, down)
    angle = np.rint(np.rad2deg(np.arctan2(-down, right))).astype(int) % 360
    transmurality = _profile(heart, "scar", now.depth)[0]
    wall, scar = [], []
    for phase in (prepared.es_phase, prepared.mid_phase, prepared.ed_phase):
        inner = np.minimum(now.endocardium[0, phase], before.endocardium[0, phase])[angle]
        band = (radius >= inner) & (radius <= now.epicardium[0, phase][angle])
        wall.append(band)
        scar.append(band & (transmurality[phase][angle] >= SCARRED))
    spacing = (own.pixel_spacing_mm, own.pixel_spacing_mm)
    cut = [
        crop_square(np.stack(part).astype(np.float64), spacing, prepared.centre_mm, CMR.crop_mm, CMR.size_px) > 0.5
        for part in (wall, scar)
    ]
    return cut[0], cut[1]


def _rows(found: pd.DataFrame) -> Iterator[Any]:
    return found.itertuples(index=False, name="Heart")
