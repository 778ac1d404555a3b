"""Raw records to prepared chunks: planned, read within limits, committed one by one, kept over a restart."""
