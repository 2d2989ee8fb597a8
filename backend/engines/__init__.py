"""The workers: one process per engine and base model. Never imports the server."""
