"""cardiobind: learns from ECG, cardiac MRI and medical facts, and predicts cardiovascular disease."""
