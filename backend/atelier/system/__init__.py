"""The machine as its users see it: devices, workers, environments, health."""
