"""Pictures: asking for them, publishing them, the gallery."""
