"""A folder laid out as PTB-XL, with recordings that nobody made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import wfdb

LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
SUFFIX = {100: "lr", 500: "hr"}
NOISES = ("static_noise", "burst_noise", "baseline_drift", "electrodes_problems")
STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class
NORM,normal ECG,1.0,,,NORM
IMI,inferior myocardial infarction,1.0,,,MI
LVH,left ventricular hypertrophy,1.0,,,HYP
"""


def write_ptbxl(root: Path, records: int = 80, rates: tuple[int, ...] = (100,)) -> None:
    """Write ten folds of noisy beats; those said to have an infarct beat lower in half of the leads."""
    for rate in rates:
        (root / f"records{rate}" / "00000").mkdir(parents=True)
    (root / "scp_statements.csv").write_text(STATEMENTS)
    rows = [_record(root, number, rates) for number in range(1, records + 1)]
    pd.DataFrame(rows).to_csv(root / "ptbxl_database.csv", index=False)


def _record(root: Path, number: int, rates: tuple[int, ...]) -> dict[str, object]:
    rng = np.random.default_rng(number)
    code = ("NORM", "IMI", "LVH")[number % 3]
    height = np.where((np.arange(12) % 2 == 1) & (code == "IMI"), 0.4, 1.0)
    for rate in rates:
        place = np.arange(10 * rate) * 100 / rate % 80 - 40
        signal = np.exp(-0.5 * (place / 3) ** 2)[:, None] * height + rng.normal(0, 0.05, (10 * rate, 12))
        name, folder = f"{number:05d}_{SUFFIX[rate]}", root / f"records{rate}" / "00000"
        wfdb.wrsamp(
            name, fs=rate, units=["mV"] * 12, sig_name=LEADS, p_signal=signal, fmt=["16"] * 12, write_dir=str(folder)
        )
    return {
        "ecg_id": number, "patient_id": float(number), "age": float(40 + number % 40), "sex": number % 2,
        "height": np.nan, "weight": np.nan, "recording_date": "1990-01-01 00:00:00", "scp_codes": str({code: 100.0}),
        "strat_fold": number % 10 + 1, "filename_lr": f"records100/00000/{number:05d}_lr",
        "filename_hr": f"records500/00000/{number:05d}_hr",
        **{kind: "all leads" if number % 10 == place else np.nan for place, kind in enumerate(NOISES)},
    }  # fmt: skip
