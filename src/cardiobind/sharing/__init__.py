"""Other forms of a bundle for other people, and the proof that no participant is in it."""
