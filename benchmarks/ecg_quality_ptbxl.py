"""Quality codes on real ECGs: how often each is told, and how often it is right.

    python benchmarks/ecg_quality_ptbxl.py [FOLDER OF PTB-XL] [--fit]

Swaps and wrong rates are made from each record by the linear map or rate they stand for. Thresholds were chosen on
folds 1-8; folds 9-10 are reported. `--fit` prints the second moments of `modalities/lead_moments.py` instead. Prints
Markdown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.modalities.ecg.bands import band_pass, resample_spectrum
from cardiobind.modalities.ecg.electrode_swaps import BEAT_AFTER, BEAT_BEFORE, CODES, INDEPENDENT, SWAPS, WAVES
from cardiobind.modalities.ecg.quality import ANALYSIS_RATE_HZ, SIGNAL_CODES, ecg_quality
from cardiobind.modalities.ecg.r_peaks import r_peaks, typical_beat
from cardiobind.modalities.records import EcgRecord
from cardiobind.sources.ptbxl import PtbxlSource

ANNOTATIONS = {
    "static_noise": "noisy", "burst_noise": "noisy", "baseline_drift": "baseline_wander",
    "electrodes_problems": "flat_lead",
}  # fmt: skip
Flags = NDArray[np.bool_]
Change = Callable[[EcgRecord], EcgRecord]


def main() -> None:
    """Read PTB-XL and print the tables."""
    folders = [a for a in sys.argv[1:] if not a.startswith("--")]
    root = Path(folders[0] if folders else "/work/shared/data/ptbxl")
    source = PtbxlSource(root, 100)
    refs = source.records()
    records = [source.read(ref) for ref in refs]
    facts = _facts(source, root).loc[[ref.visit for ref in refs]]
    if "--fit" in sys.argv:
        return _print_moments([r for r, fold in zip(records, facts["fold"], strict=True) if fold <= 8])
    start = time.process_time()
    codes = [set(ecg_quality(record)) for record in records]
    print(f"{1e3 * (time.process_time() - start) / len(records):.1f} ms of processor time a record of 12 x 1000\n")
    _print_cost(root)
    _print_rates(codes, facts)
    _print_annotations(codes, facts)
    held_out = [(r, g) for r, g, fold in zip(records, facts["group"], facts["fold"], strict=True) if fold >= 9]
    _print_changes(held_out)


def _facts(source: PtbxlSource, root: Path) -> pd.DataFrame:
    events = source.events()
    classes = events[events["code"].isin(["NORM", "MI", "STTC", "CD", "HYP"])].groupby("visit")["code"].agg(set)
    raw = pd.read_csv(root / "ptbxl_database.csv", index_col="ecg_id", low_memory=False)
    raw.index = raw.index.astype(int).astype(str)
    group = classes.map(lambda found: "MI" if "MI" in found else "NORM" if found == {"NORM"} else "other")
    facts = raw[list(ANNOTATIONS)].notna()
    return facts.assign(fold=raw["strat_fold"].astype(int), group=group.reindex(facts.index).fillna("other"))


def _print_cost(root: Path) -> None:
    source = PtbxlSource(root, 500)
    records = [source.read(ref) for ref in source.records()]
    start = time.process_time()
    for record in records:
        ecg_quality(record)
    print(f"{1e3 * (time.process_time() - start) / len(records):.1f} ms of processor time a record of 12 x 5000\n")


def _print_rates(codes: list[set[str]], facts: pd.DataFrame) -> None:
    print("| code | all | NORM alone | MI | folds 9-10 |\n| --- | ---: | ---: | ---: | ---: |")
    groups = [np.ones(len(facts), bool), facts["group"] == "NORM", facts["group"] == "MI", facts["fold"] >= 9]
    for code in (*SIGNAL_CODES, "any"):
        found = np.array([code in c or (code == "any" and bool(c)) for c in codes])
        print(f"| `{code}` | " + " | ".join(_share(found[np.asarray(g)]) for g in groups) + " |")
    print(f"\nn = {', '.join(str(int(np.sum(g))) for g in groups)}\n")


def _share(found: Flags) -> str:
    return f"{100 * found.mean():.2f} % ({int(found.sum())})"


def _print_annotations(codes: list[set[str]], facts: pd.DataFrame) -> None:
    print("| PTB-XL's annotation | n | code | sensitivity | specificity |\n| --- | ---: | --- | ---: | ---: |")
    for annotation, code in ANNOTATIONS.items():
        found, truth = np.array([code in c for c in codes]), facts[annotation].to_numpy()
        print(
            f"| {annotation} | {truth.sum()} | `{code}` | {100 * found[truth].mean():.1f} % | "
            f"{100 * (1 - found[~truth].mean()):.2f} % |"
        )


def _print_changes(records: list[tuple[EcgRecord, str]]) -> None:
    print("\n| change | code | NORM alone | MI | all of folds 9-10 |\n| --- | --- | ---: | ---: | ---: |")
    for name, (code, change) in _changes().items():
        found = np.array([code in ecg_quality(change(record)) for record, _ in records])
        groups = np.array([group for _, group in records])
        shares = [found[groups == "NORM"].mean(), found[groups == "MI"].mean(), found.mean()]
        print(f"| {name} | `{code}` | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    print(f"\nn = {sum(g == 'NORM' for _, g in records)}, {sum(g == 'MI' for _, g in records)}, {len(records)}")


def _changes() -> Mapping[str, tuple[str, Change]]:
    code_of = {name: code for code, names in CODES.items() for name in names}
    swaps = {name: (code_of[name], _swapped(matrix)) for name, matrix in SWAPS.items()}
    rates = {f"rate stated {k:g} times": ("wrong_rate", _stated(k)) for k in (0.5, 2.0, 2.5, 5.0)}
    legs = {f"{arm} on the right leg": ("leg_electrode_swapped", _on_right_leg(arm)) for arm in ("RA", "LA")}
    units = {f"amplitudes times {k:g}": ("wrong_unit", _scaled(k)) for k in (1e3, 200.0, 1e-3, 5e-3)}
    stored = {"aVR stored inverted": ("limb_leads_inconsistent", _inverted(3))}
    return {**swaps, **legs, **rates, **units, **stored}


def _with(record: EcgRecord, amplitude_mv: NDArray[np.floating]) -> EcgRecord:
    return EcgRecord(amplitude_mv.astype(np.float32), record.rate_hz)


def _swapped(matrix: NDArray[np.float64]) -> Change:
    return lambda record: _with(record, _twelve(matrix @ record.amplitude_mv[list(INDEPENDENT)]))


def _twelve(eight: NDArray[np.floating]) -> NDArray[np.floating]:
    one, two = eight[0], eight[1]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, eight[2:]])


def _on_right_leg(arm: str) -> Change:
    """The arm's potential becomes the left leg's but for 5 % of lead II, which no lead tells: an assumption."""

    def change(record: EcgRecord) -> EcgRecord:
        x = record.amplitude_mv.astype(np.float64)
        right, left, leg = np.zeros_like(x[0]), x[0], x[1]
        moved = leg - 0.05 * x[1]
        central, other = (
            (right + left + leg) / 3,
            (moved + left + leg) / 3 if arm == "RA" else (right + moved + leg) / 3,
        )
        right, left = (moved, left) if arm == "RA" else (right, moved)
        return _with(record, _twelve(np.vstack([left - right, leg - right, x[6:] + central - other])))

    return change


def _stated(factor: float) -> Change:
    def change(record: EcgRecord) -> EcgRecord:
        longer = np.concatenate([record.amplitude_mv] * int(np.ceil(max(1.0, factor))), axis=1)
        true = 200.0 if factor < 1 else record.rate_hz
        return EcgRecord(resample_spectrum(longer, record.rate_hz, true).astype(np.float32), true * factor)

    return change


def _scaled(factor: float) -> Change:
    return lambda record: _with(record, record.amplitude_mv * factor)


def _inverted(row: int) -> Change:
    sign = np.ones((12, 1))
    sign[row] = -1
    return lambda record: _with(record, record.amplitude_mv * sign)


def _print_moments(records: list[EcgRecord]) -> None:
    beats = []
    for record in records:
        level = band_pass(
            resample_spectrum(record.amplitude_mv, record.rate_hz, ANALYSIS_RATE_HZ), ANALYSIS_RATE_HZ, 0.5
        )
        beat = typical_beat(level, r_peaks(level, ANALYSIS_RATE_HZ), BEAT_BEFORE, BEAT_AFTER)
        beats += [] if beat is None else [beat[list(INDEPENDENT)]]
    for wave, part in WAVES.items():
        moments = np.stack([b[:, part] @ b[:, part].T for b in beats])
        print(wave, (moments / np.trace(moments, axis1=1, axis2=2)[:, None, None]).mean(axis=0).round(4).tolist())


if __name__ == "__main__":
    main()
