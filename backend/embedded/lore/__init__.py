"""How `lore` was made: a small chat model that names and describes the creatures `creatures` draws."""
