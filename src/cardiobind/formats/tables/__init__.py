"""Tables in files, and how UK Biobank names their columns."""
