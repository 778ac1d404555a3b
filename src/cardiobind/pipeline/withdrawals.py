"""Whether a cohort still holds somebody who has withdrawn."""

from __future__ import annotations

from pathlib import Path

from cardiobind.cohort import Cohort
from cardiobind.errors import InputError


def count_withdrawn(cohort: Path, listed: Path) -> int:
    """Return how many participants of a list a cohort holds, be it only in its quarantine.

    Args:
        cohort: folder of the artefact.
        listed: text file, one participant a line; what follows a comma does not count.

    Raises:
        ArtifactError, CorruptArtifactError: no whole cohort is there.
        InputError: the list cannot be read.
    """
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the list cannot be read", where=listed, got=type(error).__name__) from None
    names = {line.split(",")[0].strip().strip('"') for line in lines}
    opened = Cohort.open(cohort)
    return len(names & {*opened.samples["subject"], *opened.quarantine["subject"]} - {""})
