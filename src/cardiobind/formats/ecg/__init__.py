"""The formats of electrocardiograms; importing them registers them."""

from cardiobind.formats.ecg import (
    array_ecg,
    cardiosoft_xml,
    dicom_ecg,
    edf_ecg,
    hl7_aecg,
    muse_xml,
    philips_sierra_xml,
    scp_ecg,
    wfdb_ecg,
)

__all__ = [
    "array_ecg",
    "cardiosoft_xml",
    "dicom_ecg",
    "edf_ecg",
    "hl7_aecg",
    "muse_xml",
    "philips_sierra_xml",
    "scp_ecg",
    "wfdb_ecg",
]
