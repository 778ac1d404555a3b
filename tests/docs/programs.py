"""How the commands of the documents are run: `cardiobind` in this process, others by a shell in the home folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from calling import Done
from clusters import clean_environment, free_port

TIMEOUT_S = 900
CARDIOBIND = "import sys\nfrom cardiobind.cli import main\n\nif __name__ == '__main__':\n    main()\n"
SRUN = """import os, subprocess, sys

words = [word for word in sys.argv[1:] if not word.startswith("--kill")]
base = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "%s", "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0",
                     "SLURM_JOB_NAME": "test", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
                     "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1"}
tasks = [subprocess.Popen(words, env=base | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}) for i in range(2)]
sys.exit(max(task.wait() for task in tasks))
"""


def shell(words: Sequence[str], home: Path) -> Done:
    """Run a command of a shell; `cardiobind` and `srun` are stand-ins that start this package and two tasks."""
    return script(shlex.join(words), home)


def script(text: str, home: Path, **variables: str) -> Done:
    """Run lines of a shell."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace("PORT", free_port())], cwd=home, text=True,
        env=_environment(home) | variables, capture_output=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def two_machines(words: Sequence[str], home: Path) -> Done:
    """Start the same command twice at once, as on two machines."""
    line = shlex.join(words)
    return script(f"{line} & first=$!\n{line}\nwait $first", home)


def served(words: Sequence[str], home: Path) -> Done:
    """Start a server, ask for its page, stop it."""
    with server(words, home) as (address, process):
        pass
    return Done(0 if process.returncode in (0, -15) else 1, address, f"it ended with {process.returncode}")


def asked(words: Sequence[str], home: Path) -> Done:
    """Ask a server that was started for it."""
    with server(["cardiobind", "serve", "--bundle", "cardiobind-demo/bundle"], home) as (address, _):
        said = shell([word.replace("http://127.0.0.1:8000", address) for word in [*words, "--fail"]], home)
    return said if '"risk"' in said.out else Done(1, said.out, said.err)


@contextmanager
def server(words: Sequence[str], home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a server at a free port and wait until it answers."""
    port = free_port()
    place = ["--port", port] if words[0] == "cardiobind" else ["-a", f"127.0.0.1:{port}"]
    address = f"http://127.0.0.1:{port}"
    with (home / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [*_program(words[0], home), *words[1:], *place], cwd=home, env=_environment(home), stdout=said, stderr=said
        )
    try:
        _wait(address, process, home / "said.txt")
        yield address, process
    finally:
        process.terminate()
        process.wait(60)


def dask(words: Sequence[str], home: Path) -> Done:
    """Prepare a cohort by a scheduler and a worker of its own, both started by commands."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    prepare = ["cardiobind", "prepare", "my_experiment.toml", "--out", "shared/runs/mine", "--dask", address]
    if words[0] == "cardiobind":
        prepare = [address if word.startswith("tcp://") else word for word in words]
    worker = [*(words if words[0] == "dask" else ("dask", "worker", "--nthreads", "1")), address, "--no-dashboard"]
    others = (["dask", "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"], worker)
    started = [
        subprocess.Popen(
            ["bash", "-c", f"exec {shlex.join(one)}"], cwd=home, env=_environment(home), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in others
    ]  # fmt: skip
    try:
        return shell(prepare, home)
    finally:
        for process in started:
            process.terminate()
            process.wait(60)


BY: dict[str, Callable[[Sequence[str], Path], Done]] = {
    "shell": shell, "served": served, "asked": asked, "dask": dask, "two machines": two_machines,
}  # fmt: skip


def _program(name: str, home: Path) -> list[str]:
    return [sys.executable, str(home / "bin" / name)] if name == "cardiobind" else [sys.executable, "-m", name]


def _environment(home: Path) -> dict[str, str]:
    """Return an environment in which commands are found: stand-ins first, then those of this Python."""
    place = home / "bin"
    place.mkdir(exist_ok=True)
    for name, text in {"cardiobind": CARDIOBIND, "srun": SRUN % free_port()}.items():
        (place / name).write_text(f"#!{sys.executable}\n{text}")
        (place / name).chmod(0o755)
    path = os.pathsep.join([str(place), str(Path(sys.executable).parent), os.environ["PATH"]])
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_MKDOCS_2_WARNING": "1"}
    return clean_environment() | {"PATH": path, **quiet}


def _wait(address: str, process: subprocess.Popen[bytes], said: Path) -> None:
    for _ in range(TIMEOUT_S):
        assert process.poll() is None, said.read_text()
        try:
            with urlopen(address, timeout=10) as answer:  # noqa: S310
                assert answer.status == 200
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"no answer at {address}")
