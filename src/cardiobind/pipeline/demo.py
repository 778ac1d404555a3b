"""The whole way on a small simulated cohort, from raw files to a report, in minutes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cardiobind.pipeline.ceiling import simulated_ceiling
from cardiobind.pipeline.progress import Quiet, Reporter
from cardiobind.pipeline.run import Result, load, run
from cardiobind.simulate import SimulationSettings, write_raw

WORKERS = 2
DEMO_COHORT = {
    "subjects": 1600, "mi_prevalence": 0.08, "ecg_fraction": 0.9, "cmr_fraction": 0.5, "slices": 3, "phases": 12,
    "image_px": 96, "pixel_spacing_mm": 2.4,
}  # fmt: skip


def demo(out: Path | str, *, seed: int = 0, reporter: Reporter | None = None) -> Result:
    """Simulate a raw cohort, prepare it, learn from it with and without labels, evaluate and report.

    Args:
        out: folder of raw files, artefacts and report; a demo that was interrupted there goes on.
        seed: of the cohort and of all training.
        reporter: receives progress.
    """
    shown = reporter or Quiet()
    settings = SimulationSettings(seed=seed, **DEMO_COHORT)  # type: ignore[arg-type]
    raw = simulate(Path(out) / "raw", settings, reporter=shown)
    experiment = load("demo", [f"data_root={raw}", f"seed={seed}", f"protocol.seed={seed}"])
    return run(experiment, out, reporter=shown, ceiling=partial(simulated_ceiling, settings=settings))


def simulate(
    out: Path | str, settings: SimulationSettings, *, workers: int = WORKERS, reporter: Reporter | None = None
) -> Path:
    """Write the raw files of a simulated cohort; what is there already is kept.

    Args:
        out: folder of ``bulk/``, ``table.csv`` and ``truth/``.
        settings: of the cohort.
        workers: processes.
        reporter: receives progress.
    """
    shown = reporter or Quiet()
    shown.start("simulate")
    write_raw(settings, Path(out), workers=workers, progress=partial(shown.advance, "simulate"))
    shown.finish("simulate", cached=False)
    return Path(out)
