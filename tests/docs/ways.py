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
CELL = {"--only=arm=aligned,fraction=0.1,seed=0,task=mi": "--only=arm=aligned,fraction=0.5,seed=0,task=mi"}
PART = {"$SLURM_ARRAY_TASK_ID/64": "3/64", "2": "1"}
FEW_EPOCHS = tuple(
    f"{part}.{word}"
    for part in ("ecg.pretrain.training", "finetune")
    for word in ("steps=none", "round_steps=none", "epochs=1")
)
PTBXL = (
    *FEW_EPOCHS, "ecg.encoder.options={patch=[12,50],width=32,depth=1,heads=2}", "label_fractions=[1.0]", "seeds=[0]",
    "ecg.pretrain.method.options={decoder_width=32,decoder_depth=1,decoder_heads=2,crop_s=5.0}",
    "evaluation.resamples=100",
)  # fmt: skip
CI = "`.ci/run` does it in a fresh environment"
EXTRA = "the extra is looked up in pyproject.toml"
GPU = "hours on a GPU; tests/pipeline/test_pipeline_paper.py trains each of its networks for two steps"
TABLE = "hours; tests/pipeline/test_pipeline_experiments.py checks its settings"
TWO = "tests/pipeline/test_pipeline_clusters.py starts two processes"
MEASURES = "minutes to hours; its options are looked up in the script"
WHEELS = "downloads of several hundred MB"
HOSPITALS = "needs the data of four hospitals; tests/sources/test_sources_uci_heart.py reads them"
SEARCH = "tests/pipeline/test_pipeline_search.py"
WAYS = (
    Way(r"cardiobind [a-z]+", "check", "names the verb"),
    Way(r"cardiobind demo( --seed N)?", "check", CI, instead={"N": "0"}),
    Way(r"cardiobind verify --release my-release", "run", instead={"my-release": "my-bundle"}, code=1),
    Way(r"cardiobind verify --release PATH", "run", instead={"PATH": "my-bundle"}, code=1),
    Way(r"cardiobind (explain|predict .*--subjects|export .*--onnx) .*", "slow"),
    Way(r"cardiobind (predict|verify|config|inspect|export|withdrawn) .*", "run"),
    Way(r"cardiobind (embed|index|search) .*", "check", f"an alignment that has to be made first; {SEARCH} does it"),
    Way(r"cardiobind serve .*", "check", "it does not end; tests/serve has servers of its own"),
    Way(r"cardiobind (compare|evaluate) .*", "run", more=("--resamples", "20")),
    Way(r"cardiobind simulate raw-cohort .*", "run", more=TINY, without=("raw-cohort",)),
    Way(r"cardiobind align demo .*", "check", "minutes; the walk of the tests does it at small size"),
    Way(r"cardiobind (prepare|pretrain|align|finetune) my.toml", "run"),
    Way(r"cardiobind finetune my.toml --only=.* --again", "slow", instead=CELL),
    Way(r"cardiobind finetune my.toml --only=.*", "run", instead=CELL),
    Way(r"cardiobind finetune my.toml --shard .*", "run"),
    Way(r"cardiobind run my.toml", "slow"),
    Way(r"cardiobind run my.toml seed=1 .*", "slow", without=("runs",)),
    Way(r"cardiobind run EXPERIMENT.toml .*", "slow"),
    Way(r"cardiobind run demo data_root=raw-cohort .*", "slow", more=SMALL, without=("runs",)),
    Way(r"cardiobind prepare my_experiment.toml --out \S+ --workers 16", "run", instead={"16": "1"}),
    Way(r"cardiobind prepare my_experiment.toml .*--shard .*", "run", instead=PART),
    Way(r"cardiobind prepare .* --dask tcp:.*", "check", "tests/cohort/test_cohort_shards.py has a dask of its own"),
    Way(r"cardiobind prepare \.\.\. .*", "check", "an option in a sentence", instead={"...": "my.toml"}),
    Way(r"cardiobind pretrain .* --cohort s3:.*", "check", "tests/cohort/test_cohort_s3.py has a storage of its own"),
    Way(r"(torchrun|srun) .*", "check", TWO),
    Way(r"cardiobind run my_experiment.toml .*training.devices=2", "check", TWO),
    Way(r"cardiobind run paper .*", "check", GPU),
    Way(r"cardiobind run ptbxl_mi .*rate_hz=500", "check", "the made PTB-XL has 100 Hz alone"),
    Way(r"cardiobind run ptbxl_mi .*", "slow", more=PTBXL),
    Way(r"cardiobind run ptbxl_best .*", "check", "half an hour of several networks"),
    Way(r"cardiobind run uci_heart.*", "check", HOSPITALS),
    Way(r"cardiobind (run table_demo|run table(_measured)?( \S+)*|align table|finetune table .*)", "check", TABLE),
    Way(r"curl .*", "check", "needs a server that runs; tests/serve sends the like"),
    Way(r"pip wheel .*|tar .*|pip install --no-index .*", "check", WHEELS),
    Way(r"pip install .*\.\[.*", "check", EXTRA),
    Way(r"(pip install|python3.11 -m venv|\. .venv|mkdocs (serve|build)).*", "check", CI),
    Way(r"\.ci/run .*", "check", "it runs the tests"),
    Way(r"pytest( .*)?", "check", "it is what runs this"),
    Way(r"python (benchmarks|docs|tests)/\S+.*", "check", MEASURES),
    Way(r"(export \w+=.*|git clone|wait|sbatch .*|dask worker .*|dx extract_dataset)", "check", "not of this package"),
)  # fmt: skip


def way(command: Command) -> Way | None:
    """Return the first way whose pattern is the command; none for a command that nobody has thought of."""
    return next((one for one in WAYS if re.fullmatch(one.pattern, command.text)), None)
