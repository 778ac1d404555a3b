"""What a server counts, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Histogram:
    """Counts of values up to each of a few bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str = "") -> Iterator[str]:
        """Yield the lines of the histogram."""
        before = f"{labels}," if labels else ""
        braces = f"{{{labels}}}" if labels else ""
        for bound, count in zip((*map(str, self.bounds), "+Inf"), accumulate(self.counts), strict=True):
            yield f'{name}_bucket{{{before}le="{bound}"}} {count}'
        yield f"{name}_sum{braces} {self.total}"
        yield f"{name}_count{braces} {sum(self.counts)}"


class Metrics:
    """Counters of one server; labels are routes, statuses and codes of ours, never anything that was sent."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self.batches = Histogram(SIZES)
        self.working = self.receiving = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests[route, status] += 1
        self.seconds[route].add(seconds)

    def text(self, restarts: int) -> str:
        """Return all metrics.

        Args:
            restarts: of worker processes.
        """
        name = "cardiobind_requests_total"
        lines = [f"# TYPE {name} counter"]
        lines += [f'{name}{{route="{r}",status="{s}"}} {n}' for (r, s), n in sorted(self.requests.items())]
        name = "cardiobind_refusals_total"
        lines += [f"# TYPE {name} counter"]
        lines += [f'{name}{{code="{code}"}} {n}' for code, n in sorted(self.refusals.items())]
        name = "cardiobind_request_seconds"
        lines += [f"# TYPE {name} histogram"]
        for route, histogram in sorted(self.seconds.items()):
            lines += histogram.lines(name, f'route="{route}"')
        lines += ["# TYPE cardiobind_batch_size histogram", *self.batches.lines("cardiobind_batch_size")]
        gauges = {
            "predictions_working": self.working, "requests_receiving": self.receiving,
            "resident_memory_bytes": resident_bytes(),
        }  # fmt: skip
        lines += [
            line for key, n in gauges.items() for line in (f"# TYPE cardiobind_{key} gauge", f"cardiobind_{key} {n}")
        ]
        lines += ["# TYPE cardiobind_worker_restarts_total counter", f"cardiobind_worker_restarts_total {restarts}"]
        return "\n".join(lines) + "\n"


def resident_bytes(process: str = "self") -> int:
    """Return the memory that a process holds; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
