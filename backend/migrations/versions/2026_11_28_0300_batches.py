"""Files given through /v1/files, and batches over them."""

revision = "20261128_0300"
down_revision = "20261128_0200"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
