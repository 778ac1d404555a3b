"""Embeddings of subjects, and what the nearest subjects of another modality tell of one."""

from cardiobind.pipeline.search.build import build_index
from cardiobind.pipeline.search.embed import embed_many
from cardiobind.pipeline.search.embedders import Embedder, open_embedder
from cardiobind.pipeline.search.index import Index, nearest, neighbours_for, open_index

__all__ = ["Embedder", "Index", "build_index", "embed_many", "nearest", "neighbours_for", "open_embedder", "open_index"]
