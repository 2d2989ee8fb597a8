"""What each key and model used: counted by /v1, written off the hot path."""

revision = "20261128_0400"
down_revision = "20261128_0300"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
