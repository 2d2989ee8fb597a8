"""Saved benchmarks of chat models."""

revision = "20261128_0500"
down_revision = "20261128_0400"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
