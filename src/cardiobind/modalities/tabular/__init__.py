"""What a table of medical facts is: units, plausible values, and the contract it is encoded by."""

from cardiobind.modalities.tabular.contract import TableColumn, TableContract

__all__ = ["TableColumn", "TableContract"]
