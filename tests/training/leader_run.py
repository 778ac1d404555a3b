"""Something that the leader does alone while the others wait. Usage: ``python leader_run.py WORK sleep|exit``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from cardiobind.training import processes


def main(work: Path, what: str) -> None:
    team = processes.join()

    def alone() -> None:
        (work / "begun").write_text(str(os.getpid()))
        if what == "exit":
            raise SystemExit(143)
        time.sleep(120)

    try:
        team.by_leader(alone)
    finally:
        if what == "exit":
            (work / f"ended-{team.rank}").touch()
            while not all((work / f"ended-{rank}").exists() for rank in range(team.world)):
                time.sleep(0.01)  # a leader that lives on, as in a notebook


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
