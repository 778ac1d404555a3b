"""How far a number can be trusted: DeLong's variance, test subjects against training seeds, many comparisons."""
