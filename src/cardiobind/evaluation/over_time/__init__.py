"""Risk over time: weights for censoring, the risk that a score stands for, its accuracy at horizons and over time."""
