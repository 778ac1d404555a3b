"""What a column is for, and whether it gives the label away."""
