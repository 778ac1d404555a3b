"""Until when events of a participant would be known: loss to follow-up, end of the provider's records.

UK Biobank publishes for each country the date up to which hospital records are mostly complete ("Data providers and
dates of data availability" in its Showcase) and does not apply it to the data. It changes with each release, so it is
an option of the source and has no default: without it the end of follow-up is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from cardiobind.errors import ConfigError
from cardiobind.sources.ukb_entries import Columns, codes_of, entries, first_values
from cardiobind.sources.ukb_event_fields import CENTRE, COUNTRIES, LOST

EVERYWHERE = "everywhere"


def parse_end_of_records(words: Sequence[str]) -> dict[str, pd.Timestamp]:
    """Return the end of records by country from ``"2022-10-31"`` (everywhere) or ``"england=2022-10-31"``, ...

    Raises:
        ConfigError: a country or a date cannot be understood, or one is given twice.
    """
    ends: dict[str, pd.Timestamp] = {}
    for word in words:
        country, _, day = word.rpartition("=")
        country = country.strip().lower() or EVERYWHERE
        when = pd.to_datetime(day.strip(), errors="coerce", format="%Y-%m-%d")
        if country not in (EVERYWHERE, *COUNTRIES) or pd.isna(when) or country in ends:
            raise ConfigError(
                "an end of records cannot be understood, or is given twice", where="source.options.end_of_records",
                expected=f"YYYY-MM-DD, or COUNTRY=YYYY-MM-DD with {' | '.join(COUNTRIES)}", got=word,
            )  # fmt: skip
        ends[country] = when
    return ends


def follow_up(frame: pd.DataFrame, columns: Columns, ends: Mapping[str, pd.Timestamp]) -> pd.DataFrame:
    """Return row, system ``follow_up``, code (``lost`` or ``end_of_records``) and date of what ends follow-up.

    Args:
        frame: the table.
        columns: its columns by field.
        ends: by country, as `parse_end_of_records` returns them; the country is that of the first assessment centre.
    """
    lost = entries(frame, columns.get(LOST, ())).drop_duplicates("row")
    lost = pd.DataFrame({"row": lost["row"], "code": "lost", "date": lost["value"]})
    by_row = _country(frame, columns).map(lambda country: ends.get(country, ends.get(EVERYWHERE)))
    by_row = pd.to_datetime(by_row).dropna()
    ended = pd.DataFrame({"row": by_row.index, "code": "end_of_records", "date": by_row.dt.strftime("%Y-%m-%d")})
    return pd.concat([lost, ended], ignore_index=True).assign(system="follow_up")[["row", "system", "code", "date"]]


def _country(frame: pd.DataFrame, columns: Columns) -> pd.Series:
    centre = codes_of(first_values(frame, columns.get(CENTRE, ())), {}).str.lower()
    by_centre = {code: country for country, codes in COUNTRIES.items() for code in codes}
    return centre.map(by_centre).reindex(frame.index).astype(object)
