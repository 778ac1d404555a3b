"""Store to batches: torch starts here."""

from cardiobind.data.batch import Batch
from cardiobind.data.dataset import CohortDataset, identity
from cardiobind.data.mixed_order import MixedBatchSampler
from cardiobind.data.sampler import KeyedBatchSampler

__all__ = ["Batch", "CohortDataset", "KeyedBatchSampler", "MixedBatchSampler", "identity"]
