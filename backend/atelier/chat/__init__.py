"""Chat: `/v1` at line speed, conversations, benchmarks."""
