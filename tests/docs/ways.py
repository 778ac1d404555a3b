"""How each command of the documents is tested: run as it stands or made small, or checked with a reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import made
from small import A_CELL, FAST, FILES, HOSPITALS, PAPER, PTBXL, PTBXL_BEST, RESNET, TABLE, TINY, VIT

from documented import Command
from walking import SMALL


@dataclass(frozen=True)
class Way:
    """What is done with the commands that match.

    Attributes:
        pattern: of the whole command.
        how: `run`, `slow` (run by `pytest -m slow`) or `check` (words, options and experiments are valid).
        why: of `check`, why it is not run, and what runs the like.
        more: words added to make it small; where the command sets the same key or what holds it, its own stays.
        instead: what stands for a word of the command.
        without: entries of the home folder that must not be there.
        code: exit code.
        before: makes what the command needs in the home folder.
        by: what runs it if not a shell or, of `cardiobind`, this process (names of `programs.BY`).
    """

    pattern: str
    how: str
    why: str = ""
    more: tuple[str, ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    code: int = 0
    before: Callable[[Path], None] = made.nothing
    by: str = ""

    def words(self, command: Command) -> list[str]:
        """Return the words of a command, made small."""
        words = [self.instead.get(word, word) for word in command.words]
        here = [re.sub(r"(^|=)/(?=data/|path/|shared/|mnt/)", r"\1", word) for word in words]
        own = {word.partition("=")[0] for word in here if "=" in word}
        return [*here, *(word for word in self.more if "=" not in word or not _below(word.partition("=")[0], own))]


def _below(key: str, own: set[str]) -> bool:
    """Whether a command sets a key, or a part of the experiment that holds it."""
    parts = key.split(".")
    return any(".".join(parts[: n + 1]) in own for n in range(len(parts)))


CELL = {"--only=arm=aligned,fraction=0.1,seed=0,task=mi": "--only=arm=aligned,fraction=0.5,seed=0,task=mi"}
PART = {"$SLURM_ARRAY_TASK_ID/64": "3/64", "2": "1"}
TWO_MACHINES = {"8": "1", "first-machine:29400": "127.0.0.1:PORT", "cardiobind": "bin/cardiobind"}
DRY = ("--dry-run", "--no-index", "--no-build-isolation")
CLUSTER = "training.accelerator=cpu"
GIVEN = {"BUNDLE": "my-bundle", "RUN": "cardiobind-demo", "PTBXL": "path/to/ptbxl"}
BENCHMARKS = (
    ("wide_table.py", ("--rows", "20", "--columns", "300"), made.checkout),
    ("als_baseline.py", (), made.checkout),
    ("chunked_alignment.py", ("64",), made.checkout),
    ("cmr_preparation.py OUT --cost", (), made.checkout),
    ("cmr_preparation.py OUT --sunnybrook .*", ("--seeds", "0", "--cines", "1", "--damaged", "1"), made.sunnybrook),
    ("ecg_quality_ptbxl.py", ("path/to/ptbxl",), made.ptbxl_and_checkout),
    ("verdicts.py .*", (), made.checkout),
    ("likeness.py BUNDLE PTBXL", (), made.checkout),
    ("interval_coverage.py .*", ("--scale", "0.01"), made.checkout),
    ("explanations.py( --only cmr)?", ("--scale", "0.02"), made.checkout),
    ("ingest.py", ("--quick", "--only", "wfdb"), made.checkout),
    ("speed.py .*", ("--quick", "--only", "table_view"), made.checkout),
    ("gpu.py OUT", ("--tiny", "--device", "cpu", "--seconds", "5"), made.checkout),
    ("predict_many.py .*", ("--rows", "20", "--ecgs", "2", "--workers", "0", "--alone", "2"), made.checkout),
    ("serve_load.py .*", ("--requests", "8", "--memory-requests", "20"), made.checkout),
    ("methods_study.py", ("--cohort", "simulated", "--list", "--out", "OUT"), made.checkout),
    (
        "methods_study.py --cohort ptbxl",
        ("--tiny", "--only", "random convolution kernels", "--out", "OUT"),
        made.checkout,
    ),
    (
        "methods_study.py --cohort ptbxl --task ptbxl_superclasses",
        ("--tiny", "--list", "--out", "OUT"),
        made.checkout,
    ),
    ("methods_study.py --cohort presets", ("--tiny", "--only", "MRI, 112 px", "--out", "OUT"), made.checkout),
    ("methods_study.py --cohort simulated", ("--tiny", "--only", "not aligned", "--out", "OUT"), made.checkout),
)
WAYS = (
    Way(r"cardiobind demo", "check", "`.ci/run` does it in a fresh environment; below it is run with a seed"),
    Way(r"cardiobind [a-z]+", "run", more=("--help",)),
    Way(r"cardiobind demo --seed N", "slow", instead={"N": "1"}, without=("cardiobind-demo",)),
    Way(r"cardiobind verify --release my-release", "run", instead={"my-release": "my-bundle"}, code=1),
    Way(r"cardiobind verify --release PATH", "run", instead={"PATH": "my-bundle"}, code=1),
    Way(r"cardiobind (explain|predict .*--subjects|export .*--onnx) .*", "slow"),
    Way(r"cardiobind (predict|verify|config|inspect|export|withdrawn) .*", "run"),
    Way(r"cardiobind embed --bundle .*", "slow"),
    Way(r"cardiobind embed .*", "run"),
    Way(r"cardiobind index runs/demo/.*", "run", before=made.runs_demo),
    Way(r"cardiobind index .*", "run", before=made.phenotypes),
    Way(r"cardiobind search .*", "run", before=made.index),
    Way(r"cardiobind serve .*", "slow", by="served"),
    Way(r"curl .*/v1/predict", "slow", instead={"ecg=@recording.xml": "ecg=@record.xml"}, by="asked"),
    Way(r"cardiobind (compare|evaluate) .*", "run", more=("--resamples", "20")),
    Way(r"cardiobind simulate raw-cohort .*", "run", more=TINY, without=("raw-cohort",)),
    Way(r"cardiobind align demo .*", "slow", more=SMALL),
    Way(r"cardiobind (prepare|pretrain|align|finetune) my.toml", "run"),
    Way(r"cardiobind pretrain my.toml .*resnet50.pth.*", "slow", instead=RESNET, before=made.resnet_file),
    Way(r"cardiobind pretrain my.toml .*vit_base.pth.*", "slow", instead=VIT, before=made.vit_file),
    Way(r"cardiobind finetune my.toml --only=.* --again", "slow", instead=CELL),
    Way(r"cardiobind finetune my.toml --only=.*", "run", instead=CELL),
    Way(r"cardiobind finetune my.toml --shard .*", "run"),
    Way(r"cardiobind run my.toml", "slow"),
    Way(r"cardiobind run my.toml seed=1 .*", "slow", without=("runs",)),
    Way(r"cardiobind run EXPERIMENT.toml .*", "slow"),
    Way(r"cardiobind run demo data_root=raw-cohort .*", "slow", more=SMALL, without=("runs",)),
    Way(r"cardiobind prepare my_experiment.toml --out \S+ --workers 16", "run", instead={"16": "1"}),
    Way(r"cardiobind prepare my_experiment.toml .*--shard .*", "run", instead=PART),
    Way(r"cardiobind prepare .* --dask tcp:.*", "slow", before=made.small_experiment, by="dask"),
    Way(r"dask worker .*", "slow", before=made.small_experiment, by="dask"),
    Way(r"cardiobind prepare \.\.\. .*", "run", instead={"...": "my.toml"}),
    Way(r"cardiobind pretrain .* --cohort s3:.*", "run", instead={"s3://bucket/cohort": "memory://bucket/cohort"},
        before=made.cohort_in_memory),
    Way(r"torchrun --standalone .*", "slow", more=(CLUSTER,), instead={"cardiobind": "bin/cardiobind"},
        before=made.small_experiment),
    Way(r"torchrun --nnodes 2 .*", "slow", more=(CLUSTER,), instead=TWO_MACHINES, before=made.small_experiment,
        by="two machines"),
    Way(r"srun .*", "slow", more=(CLUSTER,), instead={"training.data_workers=7": "training.data_workers=1"},
        before=made.small_experiment),
    Way(r"cardiobind run my_experiment.toml .*training.devices=2", "slow", more=(CLUSTER,),
        before=made.small_experiment, by="shell"),
    Way(r"cardiobind run paper .*", "slow", more=PAPER),
    Way(r"cardiobind run fast", "slow", more=FAST),
    Way(r"cardiobind run ptbxl_mi .*rate_hz=500", "slow", more=PTBXL, before=made.ptbxl_of_500_hz),
    Way(r"cardiobind run ptbxl_mi .*", "slow", more=PTBXL),
    Way(r"cardiobind run ptbxl_best .*", "slow", more=PTBXL_BEST),
    Way(r"cardiobind run uci_heart .*", "slow", more=HOSPITALS, before=made.hospitals),
    Way(r"cardiobind finetune table --only=.* --again", "slow", more=A_CELL),
    Way(r"cardiobind (run table(_\w+)?( \S+)*|align table|finetune table .*)", "slow",
        more=TABLE),
    Way(r"pip wheel .*", "slow", more=("--no-deps", "--no-build-isolation"), before=made.checkout),
    Way(r"tar -cf wheels.tar wheels", "slow", before=made.wheels),
    Way(r"tar -xf wheels.tar", "slow", before=made.wheels_in_a_tar),
    Way(r"pip install --no-index .*", "slow", more=("--no-deps", "--target", "site"), before=made.wheels),
    Way(r"pip install '\.\[(imaging|object-store)\]'", "slow", more=(*DRY, "--no-deps"), before=made.checkout),
    Way(r"pip install -e '\.\[docs\]'", "slow", more=(*DRY, "--no-deps"), before=made.checkout),
    Way(r"pip install .*\..*", "slow", more=DRY, before=made.checkout),
    Way(r"pip install", "check", "named in a sentence"),
    Way(r"python3.11 -m venv .venv", "run", instead={"python3.11": "python"}, more=("--without-pip",)),
    Way(r"\. .venv/bin/activate", "run", before=made.environment),
    Way(r"mkdocs serve", "slow", before=made.checkout, by="served"),
    Way(r"mkdocs build --strict", "slow", before=made.checkout),
    Way(r"\.ci/run .*", "check", "it builds an environment of its own out of packages of several hundred MB"),
    Way(r"pytest (FOLDER|FILE|FILE::test)", "slow", more=("--collect-only", "-q"), before=made.checkout, instead={
        "FOLDER": "tests/foundation", "FILE": "tests/foundation/test_registry.py",
        "FILE::test": "tests/foundation/test_registry.py::test_register_gives_back_what_it_was_given"}),
    Way(r"pytest( .*)?", "slow", more=("--collect-only", "-q"), before=made.checkout),
    Way(r"python tests/fuzz_formats.py .*", "slow", more=("--examples", "2", "--only", *FILES), before=made.checkout),
    *(
        Way(rf"python benchmarks/{name}", "slow", more=more, before=before, instead=GIVEN)
        for name, more, before in BENCHMARKS
    ),
    Way(r"python docs/write_endpoints.py", "run", before=made.pages),
    Way(r"python docs/make_page_pictures.py .*", "slow", more=("OUT",), before=made.checkout,
        instead={"BUNDLE": "my-bundle", "RAW": "raw-cohort"}),
    Way(r"python docs/make_pictures.py", "slow", more=("OUT",), before=made.checkout),
    Way(r"(export \w+=.*|wait)", "run"),
    Way(r"sbatch .*", "check", "of SLURM, which wants a cluster; its scripts are run by test_docs_slurm.py"),
    Way(r"dx extract_dataset", "check", "of UK Biobank's platform, which wants an account"),
)  # fmt: skip


def way(command: Command) -> Way | None:
    """Return the first way whose pattern is the command; none for a command that nobody has thought of."""
    return next((one for one in WAYS if re.fullmatch(one.pattern, command.text)), None)
