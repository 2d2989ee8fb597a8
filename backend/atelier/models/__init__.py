"""Which models exist and what they can do."""
