"""What a signal is: its definition, preparation and quality, for ECG, cine MRI and table."""
