"""The formats of cine MRI; importing them registers them."""

from cardiobind.formats.cine import dicom_cine, nifti_cine

__all__ = ["dicom_cine", "nifti_cine"]
