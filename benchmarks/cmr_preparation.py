"""Phases, place and quality codes of cines against contours and truth: python benchmarks/cmr_preparation.py OUT.

Writes OUT/cmr_preparation.json and .md: the Sunnybrook patients where they are, undamaged simulated cines of seeds 0-4
and damaged ones, and what each layout costs. What was chosen was chosen on seeds from 100 on. ``--cost`` measures the
cost of layouts alone.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import heart_phantom as phantom
from cardiobind.formats import read_cine, read_long_axis
from cardiobind.modalities.cmr import LAYOUTS, LONG_AXIS, CmrPreparation, PreparedCine, cmr_spec, prepare_cmr
from cardiobind.modalities.cmr.heart_location import locate_heart
from cardiobind.simulate.settings import SimulationSettings
from cine_fixtures import ukb_long_axis
from cmr_truth import DAMAGE, SETTINGS, Truth, cyclic_error, outlines, simulated
from ingest_fixtures import write_zip

Row = dict[str, Any]
PATIENTS = ("SCD0000101", "SCD0000301")
LIGHT = tuple(name for name in SETTINGS if not name.startswith(("UK", "fine")))
FILE_CODES = {"few_slices", "no_trigger_times"}
LOW_CONFIDENCE = 0.3
REPEATS = 7
HEARTS = 5


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, successes / n
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, (middle - half) / (1 + z**2 / n)), min(1.0, (middle + half) / (1 + z**2 / n))


def errors(truth: Truth, found: PreparedCine, phases: int) -> Row:
    """Return how far a preparation is from the truth, in frames and mm."""
    away = np.array(found.centre_mm) - truth.centres_mm[found.slice_index]
    row = {
        "ed_frames": cyclic_error(found.ed_phase, truth.ed_phase, phases),
        "es_frames": cyclic_error(found.es_phase, truth.es_phase, phases),
        "centre_mm": float(np.hypot(*away)),
        "confidence": found.confidence,
        "codes": [code for code in found.quality if code not in FILE_CODES],
    }
    return {**row, "failed": row["ed_frames"] > 1 or row["es_frames"] > 1 or row["centre_mm"] > 10}


def undamaged(name: str, seed: int, count: int) -> list[Row]:
    """Return the errors in simulated cines of one kind and seed."""
    settings = SimulationSettings(seed=seed, **SETTINGS[name])
    return [
        {"kind": name, "seed": seed, **errors(truth, prepare_cmr(truth.record, CmrPreparation()), settings.phases)}
        for truth in simulated(settings, 0, count)
    ]


def damaged(name: str, seed: int, count: int) -> list[Row]:
    """Return the errors in the same cines, each damaged in each way."""
    settings, rows = SimulationSettings(seed=seed, **SETTINGS[name]), []
    for index, truth in enumerate(simulated(settings, 0, count)):
        for number, (kind, damage) in enumerate(DAMAGE.items()):
            worse = damage(truth, np.random.default_rng([seed, index, number]))
            found = prepare_cmr(worse.record, CmrPreparation(size_px=64))
            rows.append({"kind": kind, "seed": seed, **errors(worse, found, settings.phases)})
    return rows


def sunnybrook(folder: Path, patient: str) -> Row:
    """Return how the preparation of a patient agrees with the manual contours."""
    record, settings = read_cine(folder / f"{patient}.zip"), CmrPreparation()
    found, spacing = prepare_cmr(record, settings), record.pixel_spacing_mm
    drawn = outlines(folder, patient, record.frames.shape[1])
    inner = [one for one in drawn if one.wall == "i"]
    area = Counter[int]()
    for one in inner:
        area[one.phase] += round(one.area_mm2(spacing))
    beside = [np.abs(one.points_px * spacing - np.array(found.centre_mm)).max() for one in drawn]
    middle = [one.points_px.mean(axis=0) * spacing for one in inner if one.slice_index == found.slice_index]
    return {
        "patient": patient,
        "slices_with_contour": len({one.slice_index for one in drawn}),
        "contours": len(drawn),
        "contours_in_crop": sum(bool(reach <= settings.crop_mm / 2) for reach in beside),
        "smallest_margin_mm": float(settings.crop_mm / 2 - max(beside)),
        "centre_to_contour_mm": [float(np.hypot(*(place - np.array(found.centre_mm)))) for place in middle],
        "contoured_phases": sorted(area),
        "smallest_area_phase": min(area, key=lambda phase: area[phase]),
        "largest_area_phase": max(area, key=lambda phase: area[phase]),
        "es_phase": found.es_phase,
        "ed_phase": found.ed_phase,
        "confidence": found.confidence,
        "quality": found.quality,
    }


def three_slices(hearts: int) -> list[Row]:
    """Return how far the centres of the basal, mid and apical slice are off, and whether the base was found by size."""
    rows = []
    for name in (name for name in SETTINGS if SETTINGS[name].get("slices", 10) > 1):
        for seed in (0, 1):
            for truth in simulated(SimulationSettings(seed=seed, **SETTINGS[name]), 0, hearts):
                found = prepare_cmr(truth.record, CmrPreparation(size_px=32, layout="slices"))
                centres = locate_heart(truth.record.frames, truth.record.pixel_spacing_mm).centres_mm
                away = [float(np.hypot(*(centres[k] - truth.centres_mm[k]))) for k in found.slices]
                rows.append({"kind": name, "seed": seed, "centres_mm": away, "base": found.base_is == "last_by_size"})
    return rows


def layouts(repeats: int) -> list[Row]:
    """Return processor seconds a cine and stored bytes a subject of each layout: 10 slices by 50 phases, 1.8 mm."""
    rows: list[Row] = []
    record = phantom.record(phantom.stack(10, 50, 110, 1.8), base_to_apex=True)
    planes = {view: phantom.record(phantom.lax(view, 50, 110, 1.8), view) for view in LONG_AXIS}
    whole, wanted = replace(record, long_axis=planes), [(name, views) for name in LAYOUTS for views in ((), LONG_AXIS)]
    spent: dict[tuple[str, tuple[str, ...]], list[float]] = {key: [] for key in wanted}
    for _ in range(repeats):
        for layout, views in wanted:
            began = time.process_time()
            prepare_cmr(whole, CmrPreparation(layout=layout, long_axis=views))
            spent[layout, views].append(time.process_time() - began)
    least = min(spent[wanted[0]])
    for (layout, views), seconds in spent.items():
        stored = math.prod(cmr_spec(CmrPreparation(layout=layout, long_axis=views)).shape)
        rows.append({
            "layout": layout, "long_axis": len(views), "planes": stored // 210**2, "seconds": min(seconds),
            "ratio": min(seconds) / least, "bytes_210_px": stored, "bytes_112_px": stored // 210**2 * 112**2,
        })  # fmt: skip
    return rows


def reading(repeats: int) -> Row:
    """Return processor seconds to read a long-axis archive (3 views of 50 phases), each view by itself."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "20208.zip"
        views = {phantom.UKB_NAMES[view]: phantom.lax(view, 50, 110, 1.8) for view in LONG_AXIS}
        write_zip(place, ukb_long_axis(views))
        seconds = []
        for _ in range(repeats):
            began = time.process_time()
            read_long_axis(place, LONG_AXIS)
            seconds.append(time.process_time() - began)
    return {"views": len(LONG_AXIS), "files": 150, "seconds": min(seconds)}


def cost_table(rows: Sequence[Row], read: Row) -> str:
    """Return the cost of layouts as a table."""
    lines = [
        "## Layouts", "", "| layout | long axis | planes | s a cine | ratio | kB at 210 px | kB at 112 px |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {r['layout']} | {r['long_axis']} | {r['planes']} | {r['seconds']:.3f} | {r['ratio']:.2f} "
        f"| {r['bytes_210_px'] / 1000:.0f} | {r['bytes_112_px'] / 1000:.0f} |"
        for r in rows
    ]
    return "\n".join(
        [*lines, "", f"Reading {read['views']} long-axis views of {read['files']} files: {read['seconds']:.2f} s", ""]
    )


def three_slices_in_words(rows: Sequence[Row]) -> str:
    """Return how well three slices are found, as a sentence."""
    away = np.array([row["centres_mm"] for row in rows])
    near, farthest = (away <= 10).sum(axis=0).tolist(), away.max(axis=0).round(1).tolist()
    base = f"Base found by size in {sum(row['base'] for row in rows)} of {len(rows)}"
    return f"{base}; centres of the basal, mid and apical slice within 10 mm in {near}, farthest {farthest} mm\n"


def separation(rows: Sequence[Row]) -> Row:
    """Return how the confidence and the codes tell failures from successes."""
    failed = np.array([row["failed"] for row in rows])
    confidence = np.array([row["confidence"] for row in rows])
    low, coded = confidence < LOW_CONFIDENCE, np.array([bool(row["codes"]) for row in rows])
    either = low | coded
    return {
        "n": len(rows),
        "failures": int(failed.sum()),
        "auroc": float(roc_auc_score(failed, -confidence)) if 0 < failed.sum() < len(rows) else None,
        "low": int(low.sum()),
        "failures_among_low": int((low & failed).sum()),
        "coded": int(coded.sum()),
        "failures_coded": int((coded & failed).sum()),
        "flagged": int(either.sum()),
        "failures_flagged": int((either & failed).sum()),
        "bands": [
            [low_end, int(inside.sum()), int((inside & failed).sum())]
            for low_end, high_end in ((0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.01))
            for inside in [(confidence >= low_end) & (confidence < high_end)]
        ],
    }


def summary(rows: Sequence[Row]) -> Row:
    """Return the shares of the goals and of the quality codes."""
    hits = {
        "ed_within_1_frame": sum(row["ed_frames"] <= 1 for row in rows),
        "es_within_1_frame": sum(row["es_frames"] <= 1 for row in rows),
        "centre_within_10_mm": sum(row["centre_mm"] <= 10 for row in rows),
        "no_code": sum(not row["codes"] for row in rows),
    }
    shares = {name: [count, len(rows), *wilson(count, len(rows))] for name, count in hits.items()}
    codes = Counter(code for row in rows for code in row["codes"])
    return {**shares, "codes": dict(codes), "largest_mm": max(row["centre_mm"] for row in rows), **separation(rows)}


def by_kind(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the summary of each kind and of all."""
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in dict.fromkeys(row["kind"] for row in rows)}
    return {kind: summary(of_kind) for kind, of_kind in {**kinds, "all": list(rows)}.items()}


def markdown(results: Row) -> str:
    """Return the results as tables."""
    share = "{0[0]} / {0[1]} ({1:.1f}-{2:.1f} %)"
    lines = ["## Undamaged", "", "| kind | ED | ES | centre | without a code |", "|---|---|---|---|---|"]
    for kind, row in results["undamaged"].items():
        names = ("ed_within_1_frame", "es_within_1_frame", "centre_within_10_mm", "no_code")
        cells = [share.format(row[name], 100 * row[name][2], 100 * row[name][3]) for name in names]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    head = "| damage | n | failed | AUROC | confidence < 0.3 (failed) | code (failed) | either (failed) | codes |"
    lines += ["", "## Damaged", "", head, "|---|---|---|---|---|---|---|---|"]
    for kind, row in results["damaged"].items():
        auroc = "" if row["auroc"] is None else f"{row['auroc']:.2f}"
        codes = ", ".join(f"{code} {n}" for code, n in sorted(row["codes"].items()))
        lines.append(
            f"| {kind} | {row['n']} | {row['failures']} | {auroc} | {row['low']} ({row['failures_among_low']}) "
            f"| {row['coded']} ({row['failures_coded']}) | {row['flagged']} ({row['failures_flagged']}) | {codes} |"
        )
    lines += ["", cost_table(results["layouts"], results["reading"]), three_slices_in_words(results["three_slices"])]
    lines += ["", "## Sunnybrook", "", "```", json.dumps(results["sunnybrook"], indent=1), "```", ""]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="Measure the preparation of cines.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sunnybrook", type=Path, help="folder of the Sunnybrook patients and contours")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--cines", type=int, default=12, help="undamaged cines a seed and kind")
    parser.add_argument("--damaged", type=int, default=2, help="cines a seed and kind that are damaged in each way")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cost", action="store_true", help="measure layouts and nothing else")
    options = parser.parse_args(arguments)
    cost = {"layouts": layouts(REPEATS), "reading": reading(REPEATS), "three_slices": three_slices(HEARTS)}
    if options.cost:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "cmr_layouts.json").write_text(json.dumps(cost, indent=1))
        words = [cost_table(cost["layouts"], cost["reading"]), three_slices_in_words(cost["three_slices"])]
        (options.out / "cmr_layouts.md").write_text("\n".join(words))
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        clean = [pool.submit(undamaged, name, seed, options.cines) for seed in options.seeds for name in SETTINGS]
        worse = [pool.submit(damaged, name, seed, options.damaged) for seed in options.seeds for name in LIGHT]
        rows = [[row for one in jobs for row in one.result()] for jobs in (clean, worse)]
    patients = [sunnybrook(options.sunnybrook, patient) for patient in PATIENTS] if options.sunnybrook else []
    results = {"undamaged": by_kind(rows[0]), "damaged": by_kind(rows[1]), "sunnybrook": patients, **cost}
    options.out.mkdir(parents=True, exist_ok=True)
    everything = {**results, "rows": {"undamaged": rows[0], "damaged": rows[1]}}
    (options.out / "cmr_preparation.json").write_text(json.dumps(everything, indent=1))
    (options.out / "cmr_preparation.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
