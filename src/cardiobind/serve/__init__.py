"""A bundle behind HTTP, with its web page."""
