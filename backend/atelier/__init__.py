"""Atelier's server: one process, no model library."""

__version__ = "0.1.0"
