"""The live socket: events for browsers."""
