"""What can be measured in a stored signal without labels, by modality: how, and as targets to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.modalities.cmr.layouts import Planes
from cardiobind.modalities.cmr.measurements import measure_cine, measurements_of
from cardiobind.modalities.ecg import ECG_UNIT_UV
from cardiobind.modalities.ecg.measurement_targets import TARGETS, measurement_targets
from cardiobind.modalities.ecg.measurements import MEASUREMENTS, SLOWEST_RATE_HZ, measure_ecg
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.standard_scores import standard_scores

Array = NDArray[np.float64]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Measurable:
    """A modality in whose signals something can be measured.

    Attributes:
        names: of the measurements, from the input's spec.
        measure: (one stored signal, spec, settings of its preparation) -> (len(names),), NaN where it fails.
        targets: names of what is learnt, from the spec.
        as_targets: (measurements (n, names), which rows are training) -> (n, targets), standardised.
        check: raises `ConfigError` where signals of that spec cannot be measured; second is who asks.
    """

    names: Callable[[InputSpec], tuple[str, ...]]
    measure: Callable[[NDArray[Any], InputSpec, Settings], Array]
    targets: Callable[[InputSpec], tuple[str, ...]]
    as_targets: Callable[[NDArray[np.floating], NDArray[np.bool_]], Array]
    check: Callable[[InputSpec, str], None]


def _measure_ecg(counts: NDArray[Any], spec: InputSpec, settings: Settings) -> Array:
    return measure_ecg(counts * (ECG_UNIT_UV / 1000), float(spec.rate_hz or 0))


def _check_ecg(spec: InputSpec, where: str) -> None:
    if float(spec.rate_hz or 0) < SLOWEST_RATE_HZ:
        raise ConfigError(
            f"{where!r} cannot measure an ECG of that rate", where="ecg.rate_hz",
            expected=f"at least {SLOWEST_RATE_HZ:g}", got=spec.rate_hz,
        )  # fmt: skip


def _cine_names(spec: InputSpec) -> tuple[str, ...]:
    return measurements_of(Planes.of_names(spec.names))


def _measure_cine(images: NDArray[Any], spec: InputSpec, settings: Settings) -> Array:
    return measure_cine(images, Planes.of_names(spec.names), float(settings["crop_mm"]) / spec.shape[-1])


def _check_cine(spec: InputSpec, where: str) -> None:
    """Every layout holds the short axis from end diastole to end systole."""


MEASURABLE: Mapping[str, Measurable] = {
    "ecg": Measurable(lambda _: MEASUREMENTS, _measure_ecg, lambda _: TARGETS, measurement_targets, _check_ecg),
    "cmr": Measurable(
        _cine_names, _measure_cine, _cine_names, partial(standard_scores, what="cines"), _check_cine
    ),
}  # fmt: skip
