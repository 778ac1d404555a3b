"""Cost of a table of 27,000 columns, as a ratio to reading all of it with pandas: python benchmarks/wide_table.py.

A table as `ukbconv` writes it is made, one cell in five filled. Each reader runs in a process of its own, as peak
memory is a process's: ours (the fields that cardiobind knows, to features by visit), the same columns by pandas, and
all columns by pandas. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cardiobind.modalities.features import FEATURES

COMMON = """
import json, resource, sys, time
{imports}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
{work}
print(json.dumps({{"rows": rows, "wall_s": round(time.perf_counter() - wall, 2),
                  "cpu_s": round(time.process_time() - cpu, 2), "memory_mb": round(peak() - before)}}))
"""
OURS = (
    "import pandas, pyarrow.csv, pyarrow.parquet\nfrom cardiobind.sources import UkbSource",
    "source = UkbSource(sys.argv[2])\nrows = len(source.table())",
)
SELECTED = (
    "import pandas\nfrom cardiobind.modalities.features import FEATURES",
    "known = {f'{f.ukb_field}-{i}.0' for f in FEATURES for i in (0, 2)} | {'eid'}\n"
    "rows = len(pandas.read_csv(sys.argv[1], usecols=lambda name: name in known, dtype=str))",
)
WHOLE = ("import pandas", "rows = len(pandas.read_csv(sys.argv[1], low_memory=False))")


def write_table(path: Path, rows: int, columns: int) -> None:
    """Write a table in the style of ukbconv: fields that are read, at instances 0 and 2, among others that are not."""
    known = [f"{field}-{instance}.0" for field in sorted({f.ukb_field for f in FEATURES} | {53}) for instance in (0, 2)]
    others = [f"{300_000 + k}-0.0" for k in range(columns - len(known) - 1)]
    names = sorted([*known, *others])
    rng = np.random.default_rng(0)
    with path.open("w") as out:
        out.write(",".join(["eid", *names]) + "\n")
        for row in range(rows):
            filled = rng.random(len(names)) < 0.2
            cells = np.where(filled, (rng.integers(1, 4, len(names))).astype(str), "")
            out.write(f"{9_000_001 + row}," + ",".join(cells) + "\n")


def run(reader: tuple[str, str], table: Path) -> dict[str, float]:
    """Return rows, seconds and peak memory above the imports' of one reader."""
    script = COMMON.format(imports=reader[0], work=reader[1])
    ran = subprocess.run(
        [sys.executable, "-c", script, str(table), str(table.parent)], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


def main() -> None:
    """Print the three readers and the ratios of ours to pandas reading all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--columns", type=int, default=27_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "ukb1.csv"
        write_table(table, asked.rows, asked.columns)
        size_mb = table.stat().st_size / 1e6
        ours, selected, whole = (run(reader, table) for reader in (OURS, SELECTED, WHOLE))
    figures = {"rows": asked.rows, "columns": asked.columns, "file_mb": round(size_mb), "ours": ours}
    figures |= {"pandas_same_columns": selected, "pandas_all": whole}
    figures |= {f"{key}_ratio": round(ours[key] / whole[key], 3) for key in ("wall_s", "cpu_s", "memory_mb")}
    print(json.dumps({**figures, "participants_per_cpu_s": round(asked.rows / ours["cpu_s"])}))


if __name__ == "__main__":
    main()
