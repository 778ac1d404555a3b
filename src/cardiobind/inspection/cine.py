"""A cine MRI: its geometry, and what preparation would make of it: slice, frames and crop, drawn where they are."""

from __future__ import annotations

import numpy as np

from cardiobind.errors import RecordError
from cardiobind.evaluation.figures import cine_choice, cine_montage
from cardiobind.formats import CINE_FORMATS, read_cine
from cardiobind.inspection.sheet import Picture, Sheet
from cardiobind.modalities.cmr.preparation import (
    FATAL_CMR,
    FRAME_NAMES,
    CmrPreparation,
    PreparedCine,
    cmr_quality,
    prepare_cmr,
)
from cardiobind.modalities.records import VIEWS, CineRecord

FEW_FRAMES = 6


def inspect_cine(location: str, view: str | None = None) -> Sheet:
    """Return the sheet of one cine.

    Args:
        location: folder, archive or file.
        view: which view; the first of `VIEWS` that is there if None.

    Raises:
        RecordError: it cannot be read.
    """
    record = _read(location, view)
    form = next(name for name in CINE_FORMATS if CINE_FORMATS.get(name).recognises(location))
    facts = _facts(record, form)
    if record.view != "sax":
        facts = (
            *facts,
            ("prepared for training", "beside its short axis, where cmr.long_axis names the view"),
        )
        return Sheet("Cardiac MRI, long axis", facts, pictures=(_long_axis(record),))
    try:
        prepared = prepare_cmr(record, CmrPreparation())
    except RecordError as error:
        warnings = (error.what, *_words(cmr_quality(record)))
        return Sheet("Cardiac MRI, short axis", facts, warnings, pictures=(_long_axis(record),))
    pictures = (_choice(record, prepared), _prepared(prepared))
    return Sheet("Cardiac MRI, short axis", (*facts, *_chosen(prepared)), _words(prepared.quality), pictures=pictures)


def _read(location: str, view: str | None) -> CineRecord:
    if view is not None:
        return read_cine(location, view)
    try:
        return read_cine(location)
    except RecordError as first:
        for other in VIEWS[1:]:
            try:
                return read_cine(location, other)
            except RecordError:
                continue
        raise first from None


def _facts(record: CineRecord, form: str) -> tuple[tuple[str, str], ...]:
    slices, phases, rows, columns = record.frames.shape
    gaps = np.diff(record.slice_positions_mm)
    times = record.trigger_times_ms[np.isfinite(record.trigger_times_ms)]
    order = {True: "base to apex", False: "apex to base", None: "not known"}[record.base_to_apex]
    return (
        ("format", form),
        ("view", record.view),
        ("slices x phases", f"{slices} x {phases}"),
        ("image", f"{rows} x {columns} px of {record.pixel_spacing_mm[0]:.3g} x {record.pixel_spacing_mm[1]:.3g} mm"),
        ("slice distance", f"{np.median(gaps):.1f} mm" if gaps.size else "one slice"),
        ("slice thickness", f"{record.slice_thickness_mm:g} mm" if np.isfinite(record.slice_thickness_mm) else "-"),
        ("order of slices", order),
        ("trigger times", f"{times.min():.0f} to {times.max():.0f} ms" if times.size else "none"),
        ("repaired frames", str(len(record.meta.get("repaired_frames", ())))),
        ("dropped slices", str(record.meta.get("dropped_slices", 0))),
    )


def _chosen(prepared: PreparedCine) -> tuple[tuple[str, str], ...]:
    phases = (prepared.es_phase, prepared.mid_phase, prepared.ed_phase)
    frames = ", ".join(f"{name.replace('_', ' ')} {phase}" for name, phase in zip(FRAME_NAMES, phases, strict=True))
    return (
        ("chosen slice (from 0)", str(prepared.slice_index)),
        ("chosen frames (from 0)", frames),
        ("centre of the crop", "row {:.0f} mm, column {:.0f} mm".format(*prepared.centre_mm)),
        ("confidence of the choice", f"{prepared.confidence:.2f}"),
    )


def _words(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{c.replace('_', ' ')}{': it would be quarantined' if c in FATAL_CMR else ''}" for c in codes)


def _choice(record: CineRecord, prepared: PreparedCine) -> Picture:
    figure = cine_choice(
        record.frames[:, [prepared.ed_phase, prepared.es_phase]], record.pixel_spacing_mm,
        column_titles=(f"end diastole (phase {prepared.ed_phase})", f"end systole (phase {prepared.es_phase})"),
        chosen_row=prepared.slice_index, centre_mm=prepared.centre_mm, crop_mm=CmrPreparation().crop_mm,
        title="All slices; the chosen one and its crop are framed",
    )  # fmt: skip
    return Picture(figure, "short-axis slices at end diastole and end systole, the chosen slice framed")


def _prepared(prepared: PreparedCine) -> Picture:
    titles = [name.replace("_", " ") for name in FRAME_NAMES]
    side_mm = CmrPreparation().crop_mm / prepared.frames.shape[1]
    figure = cine_montage(
        prepared.frames.astype(np.float64), column_titles=titles, pixel_spacing_mm=(side_mm, side_mm),
        title="As the encoder sees it",
    )  # fmt: skip
    return Picture(figure, "the three frames of the prepared cine", "In the order of the encoder's channels.")


def _long_axis(record: CineRecord) -> Picture:
    phases = np.unique(np.linspace(0, record.frames.shape[1] - 1, FEW_FRAMES).astype(int))
    chosen = record.frames[:FEW_FRAMES, phases]
    figure = cine_montage(
        chosen, column_titles=[f"phase {phase}" for phase in phases], pixel_spacing_mm=record.pixel_spacing_mm,
        row_titles=[f"slice {index}" for index in range(len(chosen))], title="Phases over the cycle",
    )  # fmt: skip
    return Picture(figure, "phases of the cine over the heart cycle")
