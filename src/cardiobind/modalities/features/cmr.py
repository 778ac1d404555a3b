"""Phenotypes that UK Biobank derived from cine MRI: what is predicted from images, and never an input beside them.

Fields 24100-24109 are the automated analysis of all frames (Bai et al., Nature Medicine 2020); 22420-22424 are the
scanner's own InlineVF analysis, taken where the former is missing. Ranges are wide enough for severe disease and narrow
enough for a failed contour.
"""

from __future__ import annotations

from cardiobind.modalities.features.feature import Feature, number


def _phenotype(name: str, field: int, low: float, high: float, fallback: int | None = None) -> Feature:
    return Feature(name, "number", field, "label", low=low, high=high, ukb_fallback=fallback)


CMR_FEATURES: tuple[Feature, ...] = (
    _phenotype("lvef_percent", 24103, 5, 90, 22420),
    _phenotype("lvedv_ml", 24100, 30, 500, 22421),
    _phenotype("lvesv_ml", 24101, 5, 450, 22422),
    _phenotype("lvsv_ml", 24102, 5, 250, 22423),
    _phenotype("lv_cardiac_output_l_min", 24104, 0.5, 20, 22424),
    _phenotype("lv_mass_g", 24105, 20, 400),
    _phenotype("rvedv_ml", 24106, 30, 500),
    _phenotype("rvesv_ml", 24107, 5, 450),
    _phenotype("rvsv_ml", 24108, 5, 250),
    _phenotype("rvef_percent", 24109, 5, 90),
    _phenotype("lv_longitudinal_strain_percent", 24181, -40, 5),
    _phenotype("inline_cardiac_output_l_min", 22424, 0.5, 20),
    _phenotype("inline_cardiac_index_l_min_m2", 22425, 0.3, 12),
)

CMR_SCAN_FEATURES: tuple[Feature, ...] = (number("scan_heart_rate_bpm", 22426, 25, 220),)
