"""The door that clients of A1111 and Forge use: `/sdapi/v1`. Never 204, unknown fields are ignored."""
