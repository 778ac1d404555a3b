"""How far a prediction can be trusted: its interval, its place in the cohort, the verdict on its inputs."""
