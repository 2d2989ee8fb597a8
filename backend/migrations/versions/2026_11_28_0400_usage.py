"""What each key and model used: counted by /v1, written off the hot path."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0400"
down_revision = "20261128_0300"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("hour", sa.DateTime, primary_key=True),
        sa.Column("owner_id", sa.String(32), sa.ForeignKey("users.id", name="fk_usage_owner_id"), primary_key=True),
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("path", sa.String(64), primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("usage")
