"""Answers about habits beyond the core: activity, screens, food, alcohol, tobacco, sleep."""

from __future__ import annotations

from dataclasses import replace

from cardiobind.modalities.features.feature import UNSURE, Feature, amount, answer, category, number

_PREFER_NOT = (-3,)
_ONLINE_PREFER_NOT = (-818,)
_TIMES = (
    "once_in_four_weeks", "two_or_three_in_four_weeks", "weekly", "two_or_three_a_week", "four_or_five_a_week",
    "daily",
)  # fmt: skip
_LENGTHS = (
    "below_15_min", "15_to_30_min", "30_to_60_min", "60_to_90_min", "90_to_120_min", "two_to_three_hours",
    "above_three_hours",
)  # fmt: skip
_MEALS = ("never", "less_than_weekly", "weekly", "two_to_four_a_week", "five_or_six_a_week", "daily")
_MENTAL_HEALTH_QUESTIONNAIRE_DATE = 20400


def _times(name: str, field: int) -> Feature:
    return category(name, field, _TIMES, (1, 2, 3, 4, 5, 6))


def _length(name: str, field: int) -> Feature:
    return category(name, field, _LENGTHS, (1, 2, 3, 4, 5, 6, 7))


def _meals(name: str, field: int) -> Feature:
    return category(name, field, _MEALS, (0, 1, 2, 3, 4, 5))


def _online(name: str, field: int, categories: tuple[str, ...], codes: tuple[int, ...]) -> Feature:
    """Return an answer of the online mental health questionnaire (from 2016): its instance 0 is no assessment visit."""
    asked = category(name, field, categories, codes, _ONLINE_PREFER_NOT)
    return replace(asked, ukb_date_field=_MENTAL_HEALTH_QUESTIONNAIRE_DATE)


ACTIVITY_FEATURES: tuple[Feature, ...] = (
    number("walk_min_per_day", 874, 0, 1440, UNSURE),
    number("moderate_activity_min_per_day", 894, 0, 1440, UNSURE),
    number("vigorous_activity_min_per_day", 914, 0, 1440, UNSURE),
    amount("computer_hours", 1080, 0, 24),
    amount("driving_hours", 1090, 0, 24),
    category("walking_pace", 924, ("slow", "average", "brisk"), (1, 2, 3), (-3, -7)),
    category(
        "stair_climbing", 943,
        ("none", "one_to_five", "six_to_ten", "eleven_to_fifteen", "sixteen_to_twenty", "above_twenty"),
        (0, 1, 2, 3, 4, 5),
    ),
    _times("pleasure_walk_frequency", 971),
    _length("pleasure_walk_length", 981),
    _times("strenuous_sport_frequency", 991),
    _length("strenuous_sport_length", 1001),
    _length("light_diy_length", 1021),
    _times("heavy_diy_frequency", 2634),
    _length("heavy_diy_length", 2644),
    _times("other_exercise_frequency", 3637),
    _length("other_exercise_length", 3647),
    category("insomnia", 1200, ("never", "sometimes", "usually"), (1, 2, 3), _PREFER_NOT),
)  # fmt: skip

FOOD_AND_TOBACCO_FEATURES: tuple[Feature, ...] = (
    amount("salad_tablespoons_per_day", 1299, 0, 50),
    _meals("beef_frequency", 1369),
    _meals("lamb_frequency", 1379),
    _meals("pork_frequency", 1389),
    category("alcohol_with_meals", 1618, ("no", "yes", "varies"), (0, 1, -6)),
    category("alcohol_status", 20117, ("never", "previous", "current"), (0, 1, 2), _PREFER_NOT),
    _online(
        "alcohol_frequency_online", 20414,
        ("never", "monthly_or_less", "two_to_four_a_month", "two_or_three_a_week", "four_or_more_a_week"),
        (0, 1, 2, 3, 4),
    ),
    _online(
        "six_units_frequency", 20416, ("never", "less_than_monthly", "monthly", "weekly", "daily"), (1, 2, 3, 4, 5)
    ),
    _online(
        "drinks_on_a_typical_day", 20403,
        ("one_or_two", "three_or_four", "five_or_six", "seven_to_nine", "ten_or_more"), (1, 2, 3, 4, 5),
    ),
    number("smoke_at_home_hours_per_week", 1269, 0, 168, UNSURE),
    number("smoke_outside_home_hours_per_week", 1279, 0, 168, UNSURE),
    number("pack_years_share_of_life", 20162, 0, 10),
    answer("ever_smoked", 20160, ()),
    category("current_smoking", 1239, ("no", "most_days", "occasionally"), (0, 1, 2), _PREFER_NOT),
    category(
        "past_smoking", 1249, ("most_days", "occasionally", "tried", "never"), (1, 2, 3, 4), _PREFER_NOT
    ),
    category("smokers_in_household", 1259, ("none", "one", "several"), (0, 1, 2), _PREFER_NOT),
)  # fmt: skip
