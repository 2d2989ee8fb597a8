"""The creature service: one creature per call, with a picture, a name and a rarity."""
