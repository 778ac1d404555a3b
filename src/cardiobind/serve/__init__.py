"""A bundle behind HTTP, with its web page."""

from cardiobind.serve.running import make_app, run
from cardiobind.serve.settings import Settings, read_api_key

__all__ = ["Settings", "make_app", "read_api_key", "run"]
