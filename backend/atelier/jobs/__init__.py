"""The durable queue and its runner."""
