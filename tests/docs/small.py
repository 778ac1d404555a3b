"""Words that make the experiments and commands of the documents small enough to be run."""

from __future__ import annotations

TINY = ("--subjects", "3", "--slices", "2", "--phases", "4", "--workers", "1")
FILES = ("wfdb", "csv_table")


def once(*trainings: str) -> tuple[str, ...]:
    """Return words by which trainings last one epoch."""
    return tuple(f"{part}.{word}" for part in trainings for word in ("steps=none", "round_steps=none", "epochs=1"))


SMALL_MASKED = "{decoder_width=32,decoder_depth=1,decoder_heads=2,crop_s=5.0}"
FEW = ("label_fractions=[1.0]", "seeds=[0]", "evaluation.resamples=100")
PTBXL = (
    *once("ecg.pretrain.training", "finetune"), *FEW,
    "ecg.encoder.options={patch=[12,50],width=32,depth=1,heads=2}", f"ecg.pretrain.method.options={SMALL_MASKED}",
)  # fmt: skip
TRANSFORMER = "variants.transformer.ecg"
PTBXL_BEST = (
    *once("align.training", f"{TRANSFORMER}.pretrain.training", "finetune"), *FEW,
    f"{TRANSFORMER}.encoder.options={{patch=[12,50],width=32,depth=1,heads=2}}",
    f"{TRANSFORMER}.pretrain.method.options={SMALL_MASKED}",
)  # fmt: skip
HOSPITALS = (*once("tabular.pretrain.training"), "finetune.steps=4", "finetune.round_steps=2", *FEW)
_PAPER_ARM = (
    '{name="aligned, ECG",start="aligned",inputs=["ecg"],'
    "options={crop_s=5.0,hidden=0,modality_dropout=0.0,augment_probability=0.95,encoder_rate=0.003,"
    "encoder_weight_decay=0.1}}"
)
PAPER = (
    *once("ecg.pretrain.training", "cmr.pretrain.training", "align.training", "finetune"), "data_root=raw-cohort",
    "ecg.encoder.options={patch=[1,100],width=24,depth=1,heads=2,drop_path=0.1}",
    "ecg.pretrain.method.options.decoder_width=16", "ecg.pretrain.method.options.decoder_depth=1",
    "ecg.pretrain.method.options.decoder_heads=2", "cmr.size_px=48", "cmr.encoder.options={depth=18,base_width=8}",
    'tabular.encoder.options={width=24,columns="plain"}', f"arms=[{_PAPER_ARM}]", "protocol.fractions=[0.5,0.2,0.3]",
    "evaluation.comparisons=[]", 'evaluation.inputs=["ecg"]', "evaluation.resamples=100",
)  # fmt: skip
FAST = tuple(word.replace("crop_s=5.0", "crop_s=4.8").replace("aligned, ECG", "aligned") for word in PAPER)
_HEARTS = (
    "source.options={subjects=160,mi_prevalence=0.3,ecg_fraction=0.95,cmr_fraction=0.5,slices=1,phases=10,image_px=64,"
    "pixel_spacing_mm=3.6,phenotypes=true}"
)
TABLE = (
    *once("ecg.pretrain.training", "cmr.pretrain.training", "tabular.pretrain.training", "align.training"), _HEARTS,
    "finetune.steps=2", "finetune.round_steps=1", "protocol.fractions=[0.5,0.2,0.3]", "cmr.size_px=32",
    "ecg.encoder.options={patch=[12,50],width=32,depth=1,heads=2}", "cmr.encoder.options={depth=18,base_width=8}",
    "evaluation.resamples=100", "label_fractions=[0.5]", "seeds=[0]",
    'endpoints=[{task="lvef_percent",inputs=["ecg"]}]',
)  # fmt: skip
A_CELL = (*TABLE[:-3], "label_fractions=[0.1]", "seeds=[3]", "endpoints=[]")
RESNET = {
    "cmr.size_px=224": "cmr.size_px=48",
    "cmr.encoder.options={depth=50}": "cmr.encoder.options={depth=18,base_width=8}",
}
VIT = {
    "cmr.size_px=224": "cmr.size_px=48",
    'cmr.encoder.options={patch=[16,16],width=768,depth=12,heads=12,positions="learned"}': (
        'cmr.encoder.options={patch=[16,16],width=24,depth=1,heads=3,positions="learned"}'
    ),
}
