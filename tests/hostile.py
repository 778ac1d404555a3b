"""A request that hangs or ends the process that prepares it; imported by worker processes, so nothing heavy is."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


class HostileContract:
    """Stands for the contract of a bundle; whoever asks what its inputs are waits in vain, or dies."""

    def __init__(self, how: str) -> None:
        self.how = how

    @property
    def inputs(self) -> Any:
        if self.how == "dies":
            os._exit(3)
        if self.how == "hangs outside Python":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(60)
        return {}
