"""The door that clients of OpenAI use: `/v1`, with its list of models, its pictures and its way to tell errors."""
