"""The memory that a process of its own has taken at most, told by that process."""

from __future__ import annotations

PEAK_MB = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024"
"""Python that says it. `ru_maxrss` begins at what the parent held when it started the process, so it says more than
that of a child of a large test run, and a growth measured by it may be hidden."""
