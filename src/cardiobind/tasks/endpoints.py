"""The endpoints: which codes, by whose definition, and which variants there are.

Two readings of each disease, because they answer different questions: the short names hold the ICD-10 codes of hospital
and death records alone, as published work with these inputs does (key ``mmcl``); ``_broad`` and ``_ukb_algorithm`` add
ICD-9, operations, self-report and UK Biobank's own outcomes. Where a published list is repeated, its slips are not: the
comma between ``'I249'`` and ``'I250'`` that one lacks, so that both codes are lost, is here.

A variant's name begins with that of its disease, so that what leaks the one is known to leak the other
(`cardiobind.cohort.audit.leakage`). Codes of ICD and OPCS are prefixes: I21 holds I21.0 to I21.9.
"""

from __future__ import annotations

from cardiobind.tasks.codes import (
    CodeSet,
    death,
    icd9,
    icd10,
    opcs4,
    scp,
    self_report,
    self_report_operation,
    touchscreen,
    ukb_algorithm,
)
from cardiobind.tasks.task import TASKS, Task, Timing

SOURCES_OF_CODES = {
    "mmcl": "ICD-10 lists of Hager et al., Best of Both Worlds (CVPR 2023), and of the MMCL-ECG-CMR code (2023-2024), "
    "commas put right",
    "ukb_ado": "UK Biobank resource 460, algorithmically defined outcomes (category 42): infarction, stroke",
    "metagrs": "Inouye et al., Genomic risk prediction of coronary artery disease in 480,000 adults (JACC 2018)",
    "ukbb_filter": "UKBB_filter of the UK Digital Heart Project: codes of heart failure and of coronary disease",
    "compiled": "compiled for this package from the codings that UK Biobank publishes (ICD, OPCS-4, self-report)",
    "register": "death register: date of death (field 40000), whatever the cause",
    "acdc": "Bernard et al., ACDC (IEEE TMI 37:2514, 2018): the group of each patient",
    "uci": "Janosi et al. (1988), UCI heart disease: num above 0",
    "ptbxl": "Wagner et al., PTB-XL (Scientific Data 2020): diagnostic superclasses",
    "imaging": "phenotypes that UK Biobank derives from the cine MRI, as features of the role `label`",
}
"""Where the definitions are from."""

INFARCTION = icd10("I21", "I22")
INFARCTION_ADO = (
    icd10("I21", "I22", "I23", "I24.1", "I25.2") | icd9("410", "411.0", "412", "429.79") | self_report("1075")
    | ukb_algorithm(42000)
)  # fmt: skip
REVASCULARISATION = (
    icd10("Z95.1") | opcs4("K40", "K41", "K42", "K43", "K44", "K45", "K46", "K49", "K50.1", "K75")
    | self_report_operation("1070", "1095", "1523")
)  # fmt: skip
CORONARY = icd10("I20", "I21", "I22", "I24", "I25")
CORONARY_METAGRS = (
    icd10("I21", "I22", "I23", "I24", "I25.2") | icd9("410", "411", "412") | self_report("1075")
    | touchscreen("6150:1") | REVASCULARISATION
)  # fmt: skip
CORONARY_BROAD = (
    CORONARY | icd10("I23") | icd9("410", "411", "412", "413", "414") | self_report("1074", "1075")
    | touchscreen("6150:1", "6150:2") | REVASCULARISATION | ukb_algorithm(42000)
)  # fmt: skip
FIBRILLATION = icd10("I48")
FIBRILLATION_BROAD = (
    FIBRILLATION | icd9("427.3") | opcs4("K62.1", "K62.2", "K62.3", "K62.4") | self_report("1471", "1483")
)  # fmt: skip
HEART_FAILURE = icd10("I11.0", "I13.0", "I13.2", "I25.5", "I42.0", "I42.5", "I42.8", "I42.9", "I50")
HEART_FAILURE_BROAD = HEART_FAILURE | icd9("425", "428") | self_report("1076", "1079")
STROKE = icd10("I60", "I61", "I63", "I64")
STROKE_ADO = (
    STROKE | icd9("430", "431", "434", "436") | self_report("1081", "1086", "1491", "1583") | ukb_algorithm(42006)
)  # fmt: skip
DIABETES = icd10("E10", "E11", "E12", "E13", "E14")
DIABETES_BROAD = DIABETES | icd9("250") | self_report("1220", "1222", "1223") | touchscreen("2443:1")

ACDC_GROUPS = {
    "MINF": "Previous myocardial infarction with systolic failure, of five groups",
    "DCM": "Dilated cardiomyopathy, of five groups",
    "HCM": "Hypertrophic cardiomyopathy, of five groups",
    "RV": "Abnormal right ventricle, of five groups",
}
WHEN: dict[Timing, tuple[str, str]] = {
    "any": ("", ", any time"),
    "prevalent": ("_prevalent", " before imaging"),
    "incident": ("_incident", " after imaging"),
}
PHENOTYPES = {
    "lvef_percent": "Left ventricular ejection fraction (%)",
    "lvedv_ml": "Left ventricular end-diastolic volume (ml)",
    "lvesv_ml": "Left ventricular end-systolic volume (ml)",
    "lvsv_ml": "Left ventricular stroke volume (ml)",
    "lv_cardiac_output_l_min": "Cardiac output of the left ventricle (l/min)",
    "lv_mass_g": "Left ventricular myocardial mass (g)",
    "rvedv_ml": "Right ventricular end-diastolic volume (ml)",
    "rvesv_ml": "Right ventricular end-systolic volume (ml)",
    "rvsv_ml": "Right ventricular stroke volume (ml)",
    "rvef_percent": "Right ventricular ejection fraction (%)",
}
SUPERCLASSES = {
    "norm": ("NORM", "Normal ECG"),
    "mi_superclass": ("MI", "Myocardial infarction on the ECG"),
    "sttc": ("STTC", "ST or T change"),
    "cd": ("CD", "Conduction disturbance"),
    "hyp": ("HYP", "Hypertrophy"),
}


def _disease(name: str, title: str, codes: CodeSet, source: str, *timings: Timing, survival: bool = False) -> None:
    """Register a disease at each of the times asked for, and the time to it."""
    for timing in timings or ("any",):
        suffix, words = WHEN[timing]
        task = Task(name + suffix, "binary", "auroc", f"{title}{words}", codes, timing=timing, source=source)
        TASKS.register(task.name)(task)
    if survival:
        own = Task(
            f"{name}_survival", "survival", "concordance", f"Time from imaging to {title[0].lower()}{title[1:]}", codes,
            timing="incident", source=source,
        )  # fmt: skip
        TASKS.register(own.name)(own)


_ALWAYS: tuple[Timing, ...] = ("any", "prevalent", "incident")
_disease("mi", "Myocardial infarction", INFARCTION, "mmcl", *_ALWAYS, survival=True)
_disease("cad", "Coronary artery disease", CORONARY, "mmcl", *_ALWAYS, survival=True)
_disease("af", "Atrial fibrillation or flutter", FIBRILLATION, "compiled", *_ALWAYS, survival=True)
_disease("hf", "Heart failure", HEART_FAILURE, "ukbb_filter", *_ALWAYS, survival=True)
_disease("stroke", "Stroke", STROKE, "ukb_ado", *_ALWAYS, survival=True)
_disease("diabetes", "Diabetes mellitus", DIABETES, "compiled", *_ALWAYS, survival=True)
TASKS.register("mi_vs_norm")(
    Task(
        "mi_vs_norm", "binary", "auroc", "Myocardial infarction against a normal ECG", scp("MI"),
        scp("NORM", alone_of=("MI", "STTC", "CD", "HYP")), source="ptbxl",
    )
)  # fmt: skip
for _name, (_code, _title) in SUPERCLASSES.items():
    TASKS.register(_name)(Task(_name, "binary", "auroc", _title, scp(_code), source="ptbxl"))
TASKS.register("ptbxl_superclasses")(
    Task(
        "ptbxl_superclasses", "multilabel", "auroc", "The five diagnostic superclasses of the ECG",
        members=tuple(SUPERCLASSES), source="ptbxl",
    )
)  # fmt: skip
_disease(
    "mi_ukb_algorithm", "Myocardial infarction by UK Biobank's algorithm", INFARCTION_ADO, "ukb_ado", *_ALWAYS,
    survival=True,
)  # fmt: skip
_disease(
    "mi_stemi", "Infarction with ST elevation (transmural)",
    icd10("I21.0", "I21.1", "I21.2", "I21.3") | ukb_algorithm(42002), "ukb_ado",
)  # fmt: skip
_disease(
    "mi_nstemi", "Infarction without ST elevation (subendocardial)", icd10("I21.4") | ukb_algorithm(42004), "ukb_ado",
)  # fmt: skip
_disease("cad_narrow", "Infarction, recent or old", icd10("I21", "I22", "I25.2"), "ukbb_filter", *_ALWAYS)
_disease("cad_metagrs", "Coronary disease of the metaGRS", CORONARY_METAGRS, "metagrs", *_ALWAYS)
_disease("cad_broad", "Coronary disease from all sources", CORONARY_BROAD, "compiled", *_ALWAYS)
_disease("af_broad", "Atrial fibrillation from all sources", FIBRILLATION_BROAD, "compiled", *_ALWAYS)
_disease("hf_broad", "Heart failure from all sources", HEART_FAILURE_BROAD, "ukbb_filter", *_ALWAYS)
_disease(
    "stroke_ukb_algorithm", "Stroke by UK Biobank's algorithm", STROKE_ADO, "ukb_ado", *_ALWAYS,
    survival=True,
)  # fmt: skip
_disease("stroke_ischaemic", "Ischaemic stroke", icd10("I63") | ukb_algorithm(42008), "ukb_ado", *_ALWAYS)
_disease("stroke_intracerebral", "Intracerebral haemorrhage", icd10("I61") | ukb_algorithm(42010), "ukb_ado")
_disease("stroke_subarachnoid", "Subarachnoid haemorrhage", icd10("I60") | ukb_algorithm(42012), "ukb_ado")
_disease("diabetes_broad", "Diabetes from all sources", DIABETES_BROAD, "compiled", *_ALWAYS)
_disease("death", "Death of any cause", death(), "register", survival=True)
for _group, _title in ACDC_GROUPS.items():
    _name = f"acdc_{_group.lower()}"
    TASKS.register(_name)(Task(_name, "binary", "auroc", _title, CodeSet((("acdc", _group),)), source="acdc"))
TASKS.register("uci_heart_disease")(
    Task(
        "uci_heart_disease", "binary", "auroc", "A coronary artery narrowed by more than half on angiography",
        CodeSet((("uci", "NARROWED"),)), source="uci",
    )
)  # fmt: skip
for _name, _title in PHENOTYPES.items():
    TASKS.register(_name)(Task(_name, "regression", "mae", _title, column=_name, source="imaging"))
