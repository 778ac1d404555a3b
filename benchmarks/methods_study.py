"""Methods under equal budgets, each with seeds, shares of the labels, intervals and paired differences.

    python benchmarks/methods_study.py --cohort ptbxl --out runs/methods_ecg --jobs 4
    python benchmarks/methods_study.py --cohort simulated --out runs/methods_mm --cohort-artifact FOLDER --jobs 6
    python benchmarks/methods_study.py --cohort presets --out runs/presets
    python benchmarks/methods_study.py --cohort simulated --out /tmp/tiny --tiny

What is compared is in methods_study.toml. Every job is a process of its own (one thread, and the GPU where there is
one) and an ordinary experiment in OUT/jobs/NAME, so that what is done is found again: call it again after an
interruption. Results are written to OUT/results after all jobs, at the deadline, or by --aggregate alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import study_results
from cardiobind import pipeline
from cardiobind.config import parse_experiment
from cardiobind.errors import ConfigError
from cardiobind.pipeline.prepare import preparation
from cardiobind.pipeline.rehearsal import check_words
from study_plan import Job, Plan, read_plan

HERE = Path(__file__).parent
STUDIES = {"ptbxl": "ecg", "simulated": "multimodal", "presets": "presets"}
BUDGET = (
    "pretrain_steps",
    "align_steps",
    "finetune_steps",
    "pretrain_batch",
    "align_batch",
    "finetune_batch",
    "subjects",
)
INTERVAL_S = 15.0


@dataclass
class Schedule:
    """Jobs at work, each a process on its cohort of `cohorts`, no more than `limit` at a time."""

    folder: Path
    cohorts: Mapping[str, Path]
    limit: int
    deadline: float
    waiting: list[Job]
    running: dict[str, tuple[Job, subprocess.Popen[bytes]]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def work(self) -> None:
        """Run all jobs; at the deadline stop those at work, which go on at the next call."""
        shown = time.monotonic()
        while self.waiting or self.running:
            if time.monotonic() > self.deadline:
                self._stop()
                return
            self._end()
            self._begin()
            if time.monotonic() - shown > INTERVAL_S:
                shown = time.monotonic()
                self._show()
            time.sleep(0.2)

    def _begin(self) -> None:
        for job in list(self.waiting):
            if job.after in self.failed:
                self.waiting.remove(job)
                self.failed.add(job.name)
                _say(f"{job.name}: not begun, as {job.after} failed")
            elif len(self.running) < self.limit and (not job.after or job.after in self.done):
                self.waiting.remove(job)
                self.running[job.name] = (job, self._process(job))
                _say(f"{job.name}: begun")

    def _process(self, job: Job) -> subprocess.Popen[bytes]:
        folder = self.folder / job.folder
        folder.mkdir(parents=True, exist_ok=True)
        after = job.after and Job(job.after, {}).folder
        words = {"tree": job.tree, "stage": job.stage, "after": after, "cohort": str(self.cohorts[job.name].resolve())}
        (folder / "job.json").write_text(json.dumps(words, indent=1))
        (folder / "predictions.parquet").unlink(missing_ok=True)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with (folder / "errors.txt").open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, str(HERE / "study_child.py"), str(folder)], stderr=errors, env=os.environ | threads
            )

    def _end(self) -> None:
        for name, (job, process) in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[name]
            (self.done if process.returncode == 0 else self.failed).add(name)
            tail = (self.folder / job.folder / "errors.txt").read_text().strip().splitlines()[-3:]
            _say(f"{name}: done" if process.returncode == 0 else f"{name}: FAILED\n  " + "\n  ".join(tail))

    def _show(self) -> None:
        for name, (job, _) in self.running.items():
            log = self.folder / job.folder / "log.txt"
            lines = log.read_text().splitlines() if log.exists() else []
            _say(f"{name}: {lines[-1] if lines else 'starting'}")

    def _stop(self) -> None:
        for name, (_, process) in self.running.items():
            process.terminate()
            _say(f"{name}: stopped at the deadline")
        for _, process in self.running.values():
            process.wait()


def known(plan: Plan, only: list[str]) -> Iterator[Job]:
    """Yield the jobs asked for whose methods there are, and those they come after."""
    wanted = set(only) | {job.after for job in plan.jobs if job.name in only}
    unknown = wanted - {job.name for job in plan.jobs} - {""}
    if unknown:
        sys.exit(f"no such job: {', '.join(sorted(unknown))}; there are: {'; '.join(job.name for job in plan.jobs)}")
    for job in plan.jobs:
        if only and job.name not in wanted:
            continue
        try:
            check_words(parse_experiment(job.tree))
        except ConfigError as error:
            _say(f"{job.name}: left out: {error.what}")
        else:
            yield job


def prepared(plan: Plan, jobs: Sequence[Job], out: Path, given: Path | None) -> dict[str, Path]:
    """Return the cohort of each job, made from the raw files; one that is given is for jobs with the plan's signals."""
    found = {} if given is None else {signals(plan.experiment): given}
    for job in jobs:
        if signals(job.tree) not in found:
            cohort, _ = pipeline.run_until("prepare", parse_experiment(job.tree), out / "cohort")
            found[signals(job.tree)] = cohort.path
            _say(f"cohort: {cohort.path}")
    return {job.name: found[signals(job.tree)] for job in jobs}


def signals(tree: Mapping[str, Any]) -> str:
    """Return what a cohort of an experiment depends on, as one word for the same source and preparation."""
    return json.dumps(preparation(parse_experiment(tree)), sort_keys=True)


def notes(plan: Plan, arguments: argparse.Namespace) -> list[str]:
    """Return lines on how the study was run."""
    budget = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in plan.budget.items())
    seeds = plan.experiment["seeds"]
    task = f" --task {arguments.task}" if arguments.task else ""
    return [
        f"`python benchmarks/methods_study.py --cohort {arguments.cohort}{task}`{' (tiny)' * arguments.tiny}, written "
        f"{time.strftime('%Y-%m-%d')}. Budget of each job: {budget}; {len(seeds)} seeds of fine-tuning and of the "
        "choice of labels, one of pre-training; no search. Intervals: 95 %, bootstrap of test subjects, mean over "
        "seeds; differences are paired.",
    ]


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", choices=sorted(STUDIES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder of the jobs (weights and all); OUT/jobs unless given")
    parser.add_argument("--cohort-artifact", type=Path, help="a prepared cohort, so that the plan's needs no raw data")
    parser.add_argument("--data-root", help="folder of the raw data")
    parser.add_argument("--task", help="endpoint instead of the plan's, such as ptbxl_superclasses")
    parser.add_argument("--plan", type=Path, default=HERE / "methods_study.toml")
    parser.add_argument("--only", default="", help="names of jobs, separated by ;")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--deadline", type=float, default=float("inf"), help="seconds until jobs are stopped")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--tiny", action="store_true", help="see that it works, on a small simulated cohort")
    parser.add_argument("--prepare", action="store_true", help="make the cohort and stop")
    parser.add_argument("--aggregate", action="store_true", help="measure what is done and stop")
    parser.add_argument("--list", action="store_true", help="name the jobs and stop")
    for name in BUDGET:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    return parser.parse_args()


def main() -> int:
    """Run a study; return 1 if a job failed."""
    began, arguments = time.monotonic(), _arguments()
    budget = {name: getattr(arguments, name) for name in BUDGET}
    plan = read_plan(arguments.plan, STUDIES[arguments.cohort], tiny=arguments.tiny, budget=budget, task=arguments.task)
    for job in plan.jobs if arguments.data_root else ():
        job.tree["data_root"] = arguments.data_root
    if arguments.list:
        print("\n".join(job.name for job in plan.jobs))
        return 0
    folder = arguments.work or arguments.out / "jobs"
    schedule = None
    if not arguments.aggregate:
        jobs = list(known(plan, [name.strip() for name in arguments.only.split(";") if name.strip()]))
        cohorts = prepared(plan, jobs, arguments.out, arguments.cohort_artifact)
        if arguments.prepare:
            return 0
        schedule = Schedule(folder, cohorts, max(1, arguments.jobs), began + arguments.deadline, jobs)
        schedule.work()
    study_results.write(
        plan, folder, arguments.out / "results", notes=notes(plan, arguments), resamples=arguments.resamples,
        processes=arguments.jobs,
    )  # fmt: skip
    return 1 if schedule is not None and schedule.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
