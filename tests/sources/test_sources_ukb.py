"""UK Biobank on disk: three layouts, five header styles, codes and labels, readings, withdrawals, events."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.errors import InputError, RecordError
from cardiobind.formats.tables.ukb_titles import SAME_TITLE, TITLES
from cardiobind.modalities.features import FEATURES
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.sources import SOURCES, UkbSource
from cardiobind.sources.ukb_codes import answers, to_codes
from cardiobind.sources.ukb_events import EVENT_FIELDS
from cardiobind.sources.ukb_features import fields_of
from ingest_fixtures import cardiosoft_xml, random_counts, stack, ukb_cine, write_zip

A, B, C, D = "9000001", "9000002", "9000003", "9000004"
XML = cardiosoft_xml(random_counts(50))


def put(path: Path, data: bytes | str = XML) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def with_table(root: Path, columns: dict[str, list[Any]], name: str = "table.csv") -> UkbSource:
    frame = pd.DataFrame(columns)
    root.mkdir(parents=True, exist_ok=True)
    if name.endswith(".parquet"):
        frame.to_parquet(root / name)
    else:
        frame.to_csv(root / name, index=False, sep="\t" if name.endswith(".tab") else ",")
    return UkbSource(root)


def cell(source: UkbSource, feature: str, subject: str = A, visit: str = "2") -> Any:
    table = source.table().set_index(["subject", "visit"])
    return table.loc[(subject, visit), feature]


@pytest.mark.parametrize(
    ("ecg", "cmr"),
    [
        ("{}_20205_2_0.xml", "{}_20209_2_0.zip"),
        ("20205/{}_20205_2_0.xml", "20209/{}_20209_2_0.zip"),
        (
            "Bulk/Electrocardiogram/Resting/90/{}_20205_2_0.xml",
            "Bulk/Heart MRI/Short axis/90/{}_20209_2_0.zip",
        ),
    ],
)
def test_each_layout_gives_the_same_records(tmp_path: Path, ecg: str, cmr: str) -> None:
    put(tmp_path / ecg.format(A))
    put(tmp_path / ecg.format(B))
    write_zip(tmp_path / cmr.format(A), ukb_cine(stack()))
    source = pickle.loads(pickle.dumps(SOURCES.get("ukb")(tmp_path)))  # noqa: S301
    refs = source.records()
    assert [(r.subject, r.visit, r.modality) for r in refs] == [(A, "2", "cmr"), (A, "2", "ecg"), (B, "2", "ecg")]
    assert isinstance(source.read(refs[0]), CineRecord)
    assert isinstance(source.read(refs[1]), EcgRecord)
    assert [i["reason"] for i in source.issues()] == ["no_table"]
    assert source.table().empty
    assert source.events().empty
    assert source.visits().empty


def test_retests_arrays_and_exercise_are_sorted_out_and_counted(tmp_path: Path) -> None:
    kept = put(tmp_path / "20205" / f"{A}_20205_2_0.xml")
    put(tmp_path / "20205" / f"{A}_20205_2_1.xml")
    put(tmp_path / "20205_retest" / f"{A}_20205_2_0.xml")
    repeat = put(tmp_path / "20205_retest" / f"{A}_20205_3_0.xml")
    put(tmp_path / "6025" / f"{A}_6025_0_0.xml")
    put(tmp_path / "20208" / f"{A}_20208_2_0.zip")
    source = UkbSource(tmp_path)
    assert [(r.visit, r.location) for r in source.records()] == [("2", str(kept)), ("3", str(repeat))]
    counts = {i["reason"]: i["count"] for i in source.issues()}
    assert counts == {"duplicate_file": 2, "exercise_ecg": 1, "long_axis_alone": 1, "no_table": 1}


STYLES = {
    "rap": ("eid", "p{f}_i{i}_a{a}", "p{f}_i{i}", "p31", "table.csv"),
    "dx": (
        "participant.eid", "participant.p{f}_i{i}_a{a}", "participant.p{f}_i{i}", "participant.p31", "table.csv",
    ),
    "ukbconv": ("eid", "{f}-{i}.{a}", "{f}-{i}.0", "31-0.0", "ukb1.csv"),
    "r": ("f.eid", "f.{f}.{i}.{a}", "f.{f}.{i}.0", "f.31.0.0", "ukb1.tab"),
    "parquet": ("eid", "p{f}_i{i}_a{a}", "p{f}_i{i}", "p31", "table.parquet"),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_each_header_style_gives_the_same_table(tmp_path: Path, style: str) -> None:
    eid, array, single, sex, name = STYLES[style]
    source = with_table(
        tmp_path,
        {
            eid: [A, B],
            single.format(f=53, i=2): ["2016-05-01", "2017-01-02"],
            sex: [1, 0],
            single.format(f=21003, i=2): [61, 55],
            array.format(f=4080, i=2, a=0): [120.0, np.nan],
            array.format(f=4080, i=2, a=1): [124.0, np.nan],
            array.format(f=4080, i=0, a=0): [150.0, 131.0],
        },
        name,
    )
    table = source.table()
    assert table[["subject", "visit"]].to_numpy().tolist() == [[A, "2"], [B, "2"]]
    assert table["sex"].tolist() == ["male", "female"]
    assert table["age_years"].tolist() == [61.0, 55.0]
    assert table["sbp_mmhg"].tolist() == [122.0, 131.0]
    assert source.instances()["sbp_mmhg"].tolist() == [2, 0]
    assert {"reason": "from_baseline_visit", "column": "sbp_mmhg", "count": 1} in source.issues()
    assert source.visits()["date"].dt.strftime("%Y-%m-%d").tolist() == ["2016-05-01", "2017-01-02"]


def test_each_field_that_is_read_has_its_title() -> None:
    read = {*EVENT_FIELDS, *(number for feature in FEATURES for number in fields_of(feature))}
    assert read - set(SAME_TITLE) <= set(TITLES.values())
    assert set(SAME_TITLE.values()) <= set(TITLES.values())
    assert len(set(TITLES.values())) == len(TITLES)


def test_a_titled_table_keeps_deaths_and_the_medication_of_women(tmp_path: Path) -> None:
    source = with_table(
        tmp_path,
        {
            "Participant ID": [A],
            "Sex": ["Female"],
            "Medication for cholesterol, blood pressure, diabetes, or take exogenous hormones | Instance 2": [
                "Blood pressure medication"
            ],
            "Underlying (primary) cause of death: ICD10 | Instance 0": ["I21.9 Acute myocardial infarction"],
            "Date of death | Instance 0": ["2019-03-04"],
            "Date I48 first reported (atrial fibrillation and flutter)": ["2018-01-02"],
        },
    )
    assert source.table()["bp_medication"].tolist() == [1.0]
    assert source.events()["code"].tolist() == ["any", "I219", "I48"]


def test_titles_are_understood(tmp_path: Path) -> None:
    source = with_table(
        tmp_path,
        {
            "Participant ID": [A],
            "Sex": ["Male"],
            "Age when attended assessment centre | Instance 2": [61],
            "Systolic blood pressure, automated reading | Instance 2 | Array 0": [120],
            "Systolic blood pressure, automated reading | Instance 2 | Array 1": [130],
        },
    )
    assert [cell(source, f) for f in ("sex", "age_years", "sbp_mmhg")] == ["male", 61.0, 125.0]


@pytest.mark.parametrize(
    ("column", "raw", "feature", "expected"),
    [
        ("p31", "Female", "sex", "female"),
        ("p20116_i2", "Prefer not to answer", "smoking_status", np.nan),
        ("p20116_i2", "-3", "smoking_status", np.nan),
        ("p20116_i2", "Current", "smoking_status", "current"),
        ("p20116_i2", "2", "smoking_status", "current"),
        ("p20116_i2", "17", "smoking_status", np.nan),
        ("p1558_i2", "Daily or almost daily", "alcohol_frequency", "daily"),
        ("p1349_i2", "2-4 times a week", "processed_meat_frequency", "two_to_four_a_week"),
        ("p1160_i2", "-1", "sleep_hours", np.nan),
        ("p1160_i2", "Do not know", "sleep_hours", np.nan),
        ("p1160_i2", "7", "sleep_hours", 7.0),
        ("p1070_i2", "-10", "tv_hours", 0.5),
        ("p1070_i2", "Less than an hour a day", "tv_hours", 0.5),
        ("p864_i2", "-2", "walking_days_per_week", np.nan),
        ("p50_i2", "tall", "height_cm", np.nan),
        ("p50_i2", "inf", "height_cm", np.nan),
        ("p2443_i2", "Yes", "diabetes", 1.0),
        ("p2443_i2", "0", "diabetes", 0.0),
        ("p2443_i2", "-1", "diabetes", np.nan),
        ("p6177_i2", "1|2", "bp_medication", 1.0),
        ("p6177_i2", "-7", "bp_medication", 0.0),
        ("p6177_i2", "-3", "bp_medication", np.nan),
        ("p6153_i2", "[2, 5]", "bp_medication", 1.0),
        ("p6153_i2", '["Blood pressure medication","Insulin"]', "bp_medication", 1.0),
        ("p6177_i2", "Cholesterol lowering medication", "statin", 1.0),
        ("p6150_i2", "1", "heart_attack_by_doctor", 1.0),
        ("p6150_i2", "2|4", "heart_attack_by_doctor", 0.0),
        ("p20110_i2", "1", "family_heart_disease", 1.0),
        ("p20107_i2", "-17|-27", "family_heart_disease", 0.0),
        ("p20107_i2", "-11", "family_heart_disease", np.nan),
        ("p30690_i0", "5.25", "cholesterol_mmol_l", 5.25),
    ],
)
def test_codes_labels_and_missing_answers(
    tmp_path: Path, column: str, raw: str, feature: str, expected: object
) -> None:
    source = with_table(tmp_path, {"eid": [A], "p53_i2": ["2016-05-01"], column: [raw]})
    np.testing.assert_equal(cell(source, feature), expected)


def test_a_phenotype_is_of_its_own_visit_and_the_scanners_own_value_fills_gaps(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B, C], "p53_i2": ["2016-05-01"] * 3, "p24103_i2": [60.5, None, None],
        "p22420_i2": [40.0, 41.0, None], "p24103_i0": [None, None, 33.0],
    }  # fmt: skip
    source = with_table(tmp_path, columns)
    np.testing.assert_equal(source.table()["lvef_percent"].to_numpy(), [60.5, 41.0, np.nan])
    assert source.instances()["lvef_percent"].tolist() == [2, 2, -1]


def test_the_day_of_a_value_is_that_of_its_assessment_or_of_the_questionnaire(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B], "p53_i0": ["2008-05-01", None], "p53_i2": ["2016-05-01", "2016-05-01"],
        "p50_i2": [170, None], "p50_i0": [None, 168], "p48_i0": [90, None], "p21001_i2": [None, 25],
        "p20416_i0": [3, 2], "p20400": ["2016-05-31", None],
    }  # fmt: skip
    source = with_table(tmp_path, columns)
    days = source.days_after_visit().set_index("subject")
    np.testing.assert_equal(days["height_cm"].to_numpy(), [0.0, np.nan])
    np.testing.assert_equal(days["waist_cm"].to_numpy(), [-2922.0, np.nan])
    np.testing.assert_equal(days["bmi_kg_m2"].to_numpy(), [np.nan, 0.0])
    np.testing.assert_equal(days["six_units_frequency"].to_numpy(), [30.0, np.nan])
    assert cell(source, "six_units_frequency") == "monthly"


@pytest.mark.parametrize(
    ("column", "raw", "feature", "expected"),
    [
        ("p22189", "-1", "townsend_index", -1.0),
        ("p22189", "-3", "townsend_index", -3.0),
        ("p189", "-2.5", "townsend_index", -2.5),
        ("p24181_i2", "-10", "lv_longitudinal_strain_percent", -10.0),
        ("p12680_i2", "-7", "pwa_augmentation_pressure_mmhg", -7.0),
        ("p1080_i2", "-10", "computer_hours", 0.5),
        ("p1618_i2", "-6", "alcohol_with_meals", "varies"),
        ("p1618_i2", "It varies", "alcohol_with_meals", "varies"),
        ("p924_i2", "-7", "walking_pace", np.nan),
        ("p20414_i0", "-818", "alcohol_frequency_online", np.nan),
        ("p20414_i0", "Prefer not to answer", "alcohol_frequency_online", np.nan),
        ("p120007", "-121", "ever_diabetes_online", np.nan),
        ("p120007", "Do not know", "ever_diabetes_online", np.nan),
        ("p6150_i2", "-7", "stroke_by_doctor", 0.0),
        ("p6150_i2", "None of the above", "high_bp_by_doctor", 0.0),
        ("p3079_i2", "Yes", "pacemaker", 1.0),
        ("p1259_i2", "Yes, more than one household member smokes", "smokers_in_household", "several"),
    ],
)
def test_a_negative_number_is_missing_only_where_the_fields_coding_says_so(
    tmp_path: Path, column: str, raw: str, feature: str, expected: object
) -> None:
    source = with_table(tmp_path, {"eid": [A], "p53_i2": ["2016-05-01"], column: [raw]})
    np.testing.assert_equal(cell(source, feature), expected)
    assert not [i for i in source.issues() if i["column"] == feature and i["reason"] == "not_a_number"]


def test_every_category_can_be_read_as_code_and_as_label() -> None:
    for feature in FEATURES:
        if feature.kind == "category":
            labels = answers(feature, feature.ukb_field)
            assert set(feature.ukb_codes) <= set(labels.values()), feature.name
            read, unknown = to_codes(pd.Series([text.upper() for text in labels]), labels)
            assert (read.tolist(), unknown) == ([float(code) for code in labels.values()], 0)


def test_a_workbook_gives_the_table_its_csv_gives(tmp_path: Path) -> None:
    columns = {"eid": [int(A), int(B)], "p53_i2": ["2016-05-01"] * 2, "p31": [1, 0], "p4080_i2_a0": [120, None]}
    with_table(tmp_path / "csv", columns)
    (tmp_path / "excel").mkdir()
    with pd.ExcelWriter(tmp_path / "excel" / "table.xlsx") as book:
        pd.DataFrame({"nothing": [1]}).to_excel(book, sheet_name="Notes", index=False)
        pd.DataFrame(columns).to_excel(book, sheet_name="Visits", index=False)
    source = UkbSource(tmp_path / "excel", table=f"{tmp_path / 'excel' / 'table.xlsx'}::Visits")
    pd.testing.assert_frame_equal(source.table(), UkbSource(tmp_path / "csv").table())
    with pytest.raises(RecordError, match="participant column"):
        UkbSource(tmp_path / "excel").table()


def test_a_label_that_a_coding_has_not_is_no_number(tmp_path: Path) -> None:
    source = with_table(
        tmp_path, {"eid": [A], "p53_i2": ["2016-05-01"], "p50_i2": ["Do not know"], "p1160_i2": ["yes"]}
    )
    found = {(i["reason"], i["column"]): i["count"] for i in source.issues()}
    assert found["not_a_number", "height_cm"] == 1
    assert found["not_a_number", "sleep_hours"] == 1


def test_two_columns_of_one_title_are_not_taken_for_either(tmp_path: Path) -> None:
    put(tmp_path / "table.csv", f"eid,Weight | Instance 2,Weight | Instance 2,p50_i2\n{A},80,81,170\n")
    source = UkbSource(tmp_path)
    assert cell(source, "height_cm") == 170.0
    assert "weight_kg" not in source.table()
    assert {"reason": "ambiguous_header", "column": "Weight | Instance 2", "count": 2} in source.issues()


def test_lists_of_a_parquet_file_are_answers(tmp_path: Path) -> None:
    columns = {"eid": [A, B, C], "p53_i2": ["2016-05-01"] * 3, "p6177_i2": [[1.0, 2.0], [-7.0], None]}
    source = with_table(tmp_path, columns, "table.parquet")
    np.testing.assert_equal(source.table()["bp_medication"].to_numpy(), [1.0, 0.0, np.nan])
    np.testing.assert_equal(source.table()["statin"].to_numpy(), [1.0, 0.0, np.nan])


def test_unusable_cells_and_absent_columns_are_issues(tmp_path: Path) -> None:
    source = with_table(tmp_path, {"eid": [A], "p50_i2": ["tall"], "p20116_i2": ["17"], "p53_i2": ["nonsense"]})
    found = {(i["reason"], i["column"]): i["count"] for i in source.issues()}
    assert found["not_a_number", "height_cm"] == 1
    assert found["unknown_category", "smoking_status"] == 1
    assert found["absent_column", "age_years"] == 1
    assert "age_years" not in source.table()


def test_visits_are_those_attended(tmp_path: Path) -> None:
    put(tmp_path / f"{C}_20205_3_0.xml")
    source = with_table(
        tmp_path,
        {
            "eid": [D, C, B, A],
            "p53_i0": ["2008-01-01"] * 4,
            "p53_i2": [None, None, "2016-05-01", "2015-05-01"],
            "p53_i3": [None, None, None, "2019-05-01"],
            "p50_i0": [170, 171, 172, 173],
            "p50_i2": [None, None, 168, 169],
        },
    )
    visits = source.visits()
    assert visits[["subject", "visit"]].to_numpy().tolist() == [[A, "2"], [A, "3"], [B, "2"], [C, "3"], [D, "0"]]
    assert visits["date"].dt.year.fillna(0).astype(int).tolist() == [2015, 2019, 2016, 0, 2008]
    assert source.table()["height_cm"].tolist() == [169.0, 173.0, 168.0, 171.0, 170.0]
    assert source.instances()["height_cm"].tolist() == [2, 0, 2, 0, 0]


def test_withdrawn_participants_are_nowhere(tmp_path: Path) -> None:
    for eid in (A, B, C):
        put(tmp_path / f"{eid}_20205_2_0.xml")
    put(tmp_path / "w12345_20240101.csv", f"{A}\n")
    put(tmp_path / "elsewhere" / "also.csv", f"eid\n{B}\n")
    table = {"eid": [A, B, C, "-5"], "p31": [1, 0, 1, 1], "p41270": ["I21"] * 4, "p53_i2": ["2016-05-01"] * 4}
    with_table(tmp_path, table)
    source = UkbSource(tmp_path, withdrawals=tmp_path / "elsewhere" / "also.csv")
    assert {r.subject for r in source.records()} == {C}
    for frame in (source.table(), source.events(), source.visits()):
        assert set(frame["subject"]) == {C}
    counts = {i["reason"]: i["count"] for i in source.issues()}
    assert counts["withdrawn"] == 2
    assert counts["table_rows_left_out"] == 3


def test_an_unreadable_withdrawals_list_stops_everything(tmp_path: Path) -> None:
    put(tmp_path / "w12345_20240101.csv", "hello\n")
    with pytest.raises(RecordError, match="withdrawals"):
        UkbSource(tmp_path).records()


def triples(source: UkbSource) -> list[tuple[str, str, str]]:
    events = source.events()
    assert (events["visit"] == "").all()
    days = events["date"].dt.strftime("%Y-%m-%d").fillna("")
    return list(zip(events["system"], events["code"], days, strict=True))


@pytest.mark.parametrize("cell_text", ["I249|I250|", '["I249","I250"]', "['I24.9', 'I25.0']"])
def test_a_list_cell_is_paired_with_its_dates(tmp_path: Path, cell_text: str) -> None:
    columns = {"eid": [A], "p41270": [cell_text], "p41280_a0": ["2010-01-01"], "p41280_a1": ["2012-03-04"]}
    source = with_table(tmp_path, columns)
    assert triples(source) == [("icd10", "I249", "2010-01-01"), ("icd10", "I250", "2012-03-04")]


def test_a_parquet_list_is_paired_with_its_dates(tmp_path: Path) -> None:
    columns = {"eid": [A], "p41270": [["I249", "I250"]], "p41280_a1": ["2012-03-04"]}
    source = with_table(tmp_path, columns, "table.parquet")
    assert triples(source) == [("icd10", "I249", ""), ("icd10", "I250", "2012-03-04")]


def test_array_columns_are_paired_by_their_number(tmp_path: Path) -> None:
    source = with_table(
        tmp_path,
        {
            "eid": [A, B], "41270-0.0": ["I249", "E119"], "41270-0.1": ["I250", None],
            "41280-0.0": ["2010-01-01", "2011-01-01"], "41280-0.1": ["2012-03-04", None],
            "41271-0.0": ["4109", None], "41281-0.0": ["1994-01-01", None],
            "41272-0.0": [None, "K40.1"], "41282-0.0": [None, "2013-01-01"],
        },
        "ukb7.csv",
    )  # fmt: skip
    assert triples(source) == [
        ("icd10", "I249", "2010-01-01"), ("icd10", "I250", "2012-03-04"), ("icd9", "4109", "1994-01-01"),
        ("icd10", "E119", "2011-01-01"), ("opcs4", "K401", "2013-01-01"),
    ]  # fmt: skip
    assert source.events()["subject"].tolist() == [A, A, A, B, B]


def test_deaths_first_occurrences_and_self_report_are_events(tmp_path: Path) -> None:
    source = with_table(
        tmp_path,
        {
            "eid": [A], "p40000_i0": ["2020-02-03"], "p40001_i0": ["I21.9"], "p40002_i0_a1": ["E11.9"],
            "p131298": ["2015-06-07"], "p131350": ["1902-02-02"], "p20002_i0_a0": ["1075"],
        },
    )  # fmt: skip
    assert triples(source) == [
        ("death", "any", "2020-02-03"), ("icd10", "E119", "2020-02-03"), ("icd10", "I21", "2015-06-07"),
        ("icd10", "I219", "2020-02-03"), ("icd10", "I48", "1902-02-02"), ("self_report", "1075", ""),
    ]  # fmt: skip


def test_a_repeated_row_is_taken_once(tmp_path: Path) -> None:
    source = with_table(tmp_path, {"eid": [A, A], "p31": [1, 0], "p53_i2": ["2016-05-01"] * 2})
    assert source.table()["sex"].tolist() == ["male"]
    assert {"reason": "table_rows_left_out", "column": "", "count": 1} in source.issues()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        UkbSource(tmp_path / "nowhere")
    with pytest.raises(InputError, match="table"):
        UkbSource(tmp_path, table=tmp_path / "nowhere.csv")
    put(tmp_path / "table.csv", "a,b\n1,2\n")
    with pytest.raises(RecordError, match="participant column"):
        UkbSource(tmp_path).table()


def test_linked_folders_are_read_once_and_other_files_of_a_field_are_counted(tmp_path: Path) -> None:
    bulk, root = tmp_path / "bulk", tmp_path / "root"
    bulk.mkdir()
    root.mkdir()
    for name in ("9000001_20205_2_0.xml", "9000002_20205_2_0.pdf", "9000002_20209_2_0.tar"):
        (bulk / name).write_bytes(b"x")
    for link in ("a", "b"):
        (root / link).symlink_to(bulk)
    (bulk / "round").symlink_to(root)
    source = UkbSource(root)
    assert [ref.subject for ref in source.records()] == ["9000001"]
    assert {"reason": "other_suffix", "column": "", "count": 2} in source.issues()
