"""Measured facts beyond the core: body composition, deprivation, pulse wave analysis, intervals of the resting ECG."""

from __future__ import annotations

from cardiobind.modalities.features.feature import Feature, number

BODY_FEATURES: tuple[Feature, ...] = (
    Feature("townsend_index", "number", 22189, low=-10, high=15, ukb_fallback=189),
    number("body_fat_percent", 23099, 3, 75),
    number("body_fat_mass_kg", 23100, 1, 150),
    number("fat_free_mass_kg", 23101, 20, 140),
    number("body_water_mass_kg", 23102, 10, 100),
    number("total_mass_dxa_kg", 23283, 30, 250),
    number("basal_metabolic_rate_kj", 23105, 2000, 25000),
    number("impedance_ohm", 23106, 100, 2000),
    number("height_at_imaging_cm", 12144, 120, 220),
    number("sitting_height_cm", 20015, 50, 130),
    number("body_surface_area_m2", 22427, 1, 3.5),
)

PULSE_WAVE_FEATURES: tuple[Feature, ...] = (
    number("pwa_heart_rate_bpm", 12673, 25, 220),
    number("pwa_brachial_sbp_mmhg", 12674, 60, 280),
    number("pwa_brachial_dbp_mmhg", 12675, 30, 160),
    number("pwa_peripheral_pulse_pressure_mmhg", 12676, 5, 160),
    number("pwa_central_sbp_mmhg", 12677, 50, 280),
    number("pwa_central_pulse_pressure_mmhg", 12678, 5, 160),
    number("pwa_beats", 12679, 1, 200),
    number("pwa_augmentation_pressure_mmhg", 12680, -40, 100),
    number("pwa_augmentation_index_percent", 12681, -100, 200),
    number("pwa_cardiac_output_l_min", 12682, 0.5, 20),
    number("pwa_end_systolic_pressure_mmhg", 12683, 40, 280),
    number("pwa_end_systolic_pressure_index", 12684, 0, 200),
    number("pwa_peripheral_resistance", 12685, 0, 10),
    number("pwa_stroke_volume_ml", 12686, 5, 250),
    number("pwa_mean_arterial_pressure_mmhg", 12687, 30, 220),
    number("pwa_cardiac_index_l_min_m2", 12702, 0.3, 12),
)

ECG_INTERVAL_FEATURES: tuple[Feature, ...] = (
    number("ecg_ventricular_rate_bpm", 12336, 20, 250),
    number("ecg_p_duration_ms", 12338, 20, 250),
    number("ecg_qrs_duration_ms", 12340, 40, 260),
    number("ecg_pq_interval_ms", 22330, 50, 500),
    number("ecg_rr_interval_ms", 22333, 240, 3000),
    number("ecg_pp_interval_ms", 22334, 200, 3000),
)
