"""How each command of the documents is tested: run as it stands or made small, or checked with a reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from documented import Command
from walking import SMALL


@dataclass(frozen=True)
class Way:
    """What is done with the commands that match.

    Attributes:
        pattern: of the whole command.
        how: `run`, `slow` (run by `pytest -m slow`) or `check` (words, options and experiments are valid).
        why: of `check`, why it is not run, and what runs the like.
        more: words added to make it small.
        instead: what stands for a word of the command.
        without: entries of the home folder that must not be there.
        code: exit code.
    """

    pattern: str
    how: str
    why: str = ""
    more: tuple[str, ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    code: int = 0

    def words(self, command: Command) -> list[str]:
        """Return the words after `cardiobind`, made small."""
        words = [self.instead.get(word, word) for word in command.words[1:]]
        here = [re.sub(r"(^|=)/(?=data/|path/|shared/|mnt/)", r"\1", word) for word in words]
        return [*here, *self.more]


TINY = ("--subjects", "3", "--slices", "2", "--phases", "4", "--workers", "1")
CI = "`.ci/run` runs it as it stands, in a fresh environment"
GPU = "hours on a GPU; tests/pipeline/test_pipeline_paper.py trains each of its networks for two steps"
PTBXL = "needs PTB-XL"
TABLE = "hours; `table_demo` is its small form, and tests/pipeline/test_pipeline_experiments.py its settings"
MEASURES = "a measurement of minutes; its options are looked up in the script"
CELL = {"--only=arm=aligned,fraction=0.1,seed=0,task=mi": "--only=arm=aligned,fraction=0.5,seed=0,task=mi"}
WAYS = (
    Way(r"cardiobind [a-z]+", "check", "names the verb"),
    Way(r"cardiobind demo( --seed N)?", "check", CI, instead={"N": "0"}),
    Way(r"cardiobind predict .*", "run"),
    Way(r"cardiobind verify .*", "run"),
    Way(r"cardiobind config .*", "run"),
    Way(r"cardiobind inspect .*", "run"),
    Way(r"cardiobind compare .*", "run", more=("--resamples", "20")),
    Way(r"cardiobind evaluate .*", "run", more=("--resamples", "20")),
    Way(r"cardiobind export .*", "run"),
    Way(r"cardiobind withdrawn .*", "run"),
    Way(r"cardiobind simulate raw-cohort .*", "run", more=TINY, without=("raw-cohort",)),
    Way(r"cardiobind (prepare|pretrain|align|finetune) my.toml", "run"),
    Way(r"cardiobind finetune my.toml --only=.* --again", "slow", instead=CELL),
    Way(r"cardiobind finetune my.toml --only=.*", "run", instead=CELL),
    Way(r"cardiobind finetune my.toml --shard .*", "run"),
    Way(r"cardiobind run my.toml", "slow"),
    Way(r"cardiobind run my.toml seed=1 .*", "slow", more=("cmr.pretrain=none",), without=("runs",)),
    Way(r"cardiobind run demo data_root=raw-cohort .*", "slow", more=SMALL, without=("runs",)),
    Way(r"cardiobind prepare my_experiment.toml --out \S+ --workers 16", "run", instead={"16": "1"}),
    Way(r"cardiobind prepare my_experiment.toml .*--shard .*", "run", instead={"$SLURM_ARRAY_TASK_ID/64": "3/64", "2": "1"}),
    Way(r"cardiobind prepare .* --dask tcp:.*", "check", "needs a scheduler; tests/cohort/test_cohort_shards.py uses a local one"),
    Way(r"cardiobind prepare \.\.\. --accept-missing", "check", "an option in a sentence", instead={"...": "my.toml"}),
    Way(r"cardiobind pretrain .* --cohort s3:.*", "check", "needs object storage; tests/cohort/test_cohort_s3.py has one"),
    Way(r"(torchrun|srun) .*", "check", "several machines; tests/pipeline/test_pipeline_clusters.py starts two processes"),
    Way(r"cardiobind run my_experiment.toml .*training.devices=2", "check", "tests/pipeline/test_pipeline_clusters.py starts two processes"),
    Way(r"cardiobind run EXPERIMENT.toml .*", "slow"),
    Way(r"cardiobind run paper .*", "check", GPU),
    Way(r"cardiobind run ptbxl_(mi|best) .*", "check", PTBXL),
    Way(r"cardiobind run uci_heart.*", "check", "needs the data of four hospitals; tests/sources/test_sources_uci_heart.py reads them"),
    Way(r"cardiobind (run table_demo|run table|align table|finetune table .*)", "check", TABLE),
    Way(r"(pip install|python3.11 -m venv|\. .venv).*", "check", CI),
    Way(r"\.ci/run .*", "check", "it runs the tests"),
    Way(r"pytest( .*)?", "check", "it is what runs this"),
    Way(r"python (benchmarks|docs|tests)/\S+.*", "check", MEASURES),
    Way(r"mkdocs (build|serve).*", "check", CI),
    Way(r"(export \w+=.*|wait|sbatch .*|dask worker .*|dx extract_dataset)", "check", "no command of this package"),
)  # fmt: skip


def way(command: Command) -> Way | None:
    """Return the first way whose pattern is the command; none for a command that nobody has thought of."""
    return next((one for one in WAYS if re.fullmatch(one.pattern, command.text)), None)
