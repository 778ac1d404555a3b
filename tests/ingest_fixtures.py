"""Constructed raw files, written from the field's description: no real UK Biobank file can be had."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

FILE_ORDER = ("I", "II", "III", "V1", "V2", "V3", "V4", "V5", "V6", "aVF", "aVL", "aVR")
MR = "1.2.840.10008.5.1.4.1.1.4"


def cardiosoft_xml(
    counts: dict[str, np.ndarray],
    *,
    rate_hz: int = 500,
    resolution: str = "5",
    unit: str = "uVperLsb",
    total: int | None = None,
    kind: str = "RestECG",
    leads: int | None = None,
) -> bytes:
    """Return a resting ECG; counts are integers per lead, in the order of the file."""
    waveforms = "".join(
        f'<WaveformData lead="{lead}">\n\t\t{",".join(map(str, values))},\n\t\t</WaveformData>\n'
        for lead, values in counts.items()
    )
    total = len(next(iter(counts.values()))) if total is None else total
    return f"""<?xml version="1.0" encoding="ISO8859-1" ?>
<CardiologyXML>
  <ObservationType>{kind}</ObservationType>
  <ObservationDateTime><Hour>9</Hour><Minute>5</Minute><Second>30</Second><Day>7</Day><Month>3</Month><Year>2016</Year>
  </ObservationDateTime>
  <PatientInfo><PID>SECRETNAME</PID><Gender>MALE</Gender></PatientInfo>
  <FilterSetting><Filter50Hz>yes</Filter50Hz><LowPass units="Hz">100</LowPass></FilterSetting>
  <Interpretation><Diagnosis><DiagnosisText>Sinus bradycardia</DiagnosisText><DiagnosisText>---</DiagnosisText>
  </Diagnosis>
  </Interpretation>
  <RestingECGMeasurements><VentricularRate units="BPM">57</VentricularRate><PAxis/>
    <MedianSamples><NumberOfLeads>12</NumberOfLeads><SampleRate units="Hz">500</SampleRate>
      <WaveformData lead="I">1,2,3</WaveformData></MedianSamples></RestingECGMeasurements>
  <StripData><NumberOfLeads>{len(counts) if leads is None else leads}</NumberOfLeads>
    <SampleRate units="Hz">{rate_hz}</SampleRate><ChannelSampleCountTotal>{total}</ChannelSampleCountTotal>
    <Resolution units="{unit}">{resolution}</Resolution>
    {waveforms}</StripData>
</CardiologyXML>
""".encode("latin-1")


def random_counts(samples: int = 5000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return small random counts for twelve leads in ml4h's file order."""
    generator = np.random.default_rng(seed)
    return {lead: generator.integers(-400, 400, samples) for lead in FILE_ORDER}


def dicom_bytes(
    pixels: np.ndarray,
    *,
    description: str = "",
    instance: int = 1,
    trigger_ms: float | None = 0.0,
    z_mm: float | None = 0.0,
    series: str = "1.2.3",
    series_number: int = 1,
    phases: int | None = None,
) -> bytes:
    """Return one MR image as DICOM, explicit little endian, uint16."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MR, "1.2.3.4"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = MR, "1.2.3.4", "MR"
    dataset.PatientName, dataset.PatientID = "SECRETNAME", "9000001"
    dataset.SeriesDescription, dataset.SeriesInstanceUID, dataset.SeriesNumber = description, series, series_number
    dataset.InstanceNumber = instance
    if trigger_ms is not None:
        dataset.TriggerTime = f"{trigger_ms:.3f}"
    if z_mm is not None:
        dataset.ImagePositionPatient = [0, 0, z_mm]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if phases is not None:
        dataset.CardiacNumberOfImages = phases
    dataset.PixelSpacing, dataset.SliceThickness, dataset.SpacingBetweenSlices = [1.5, 1.25], 8, 10
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def stack(slices: int = 3, phases: int = 10, side: int = 16) -> np.ndarray:
    """Return (slices, phases, side, side + 2) distinct uint16 images."""
    generator = np.random.default_rng(1)
    return generator.integers(0, 2000, (slices, phases, side, side + 2)).astype(np.uint16)


def ukb_cine(images: np.ndarray, *, skip: tuple[tuple[int, int], ...] = (), step_mm: float = 10.0) -> dict[str, bytes]:
    """Return the members of a UK Biobank short-axis zip: one series a slice, names in no useful order."""
    members = {}
    slices, phases = images.shape[:2]
    for k in range(slices):
        for p in range(phases):
            if (k, p) not in skip:
                members[f"1.3.12.2.{(k * 7 + p * 13) % 97}.{k}.{p}.dcm"] = dicom_bytes(
                    images[k, p], description=f"CINE_segmented_SAX_b{k + 1}", instance=p + 1, trigger_ms=20.0 * p,
                    z_mm=step_mm * k, series=f"1.2.{k + 1}", phases=phases,
                )  # fmt: skip
    return members


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """Write an archive and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path
