"""How an ECG is prepared: the settings that every stage shares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EcgPreparation:
    """How an ECG is prepared; the defaults are those of arXiv 2411.05900.

    Attributes:
        rate_hz: samples per second after resampling.
        duration_s: length kept, from the start of the record; a shorter record is refused.
        clip_sd: amplitudes are limited to the record's mean +- this many of its standard deviations.
        baseline_lambda: smoothness of the baseline at 500 Hz; scaled by (rate / 500)^4 at another rate, so that the
            same slow waves are removed.
        baseline_asymmetry: weight of samples above the baseline; those below weigh one minus it.
        baseline_iterations: number of reweighted fits.
    """

    rate_hz: int = 500
    duration_s: float = 10.0
    clip_sd: float = 4.0
    baseline_lambda: float = 1e7
    baseline_asymmetry: float = 0.3
    baseline_iterations: int = 5

    @property
    def samples(self) -> int:
        """Number of samples of a prepared ECG."""
        return round(self.rate_hz * self.duration_s)
