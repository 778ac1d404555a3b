"""What a score rests on: attributions over samples and leads, pixels, facts and modalities, and how they are drawn."""
