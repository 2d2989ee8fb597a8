"""Small models of Atelier's own, trained from scratch by the scripts in this package."""
