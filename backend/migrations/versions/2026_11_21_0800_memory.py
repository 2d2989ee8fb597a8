"""What loads and runs took of memory and time; the options that a model is loaded with."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0800"
down_revision = "20261121_0600"


def upgrade() -> None:
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("load_options", sa.JSON, nullable=False, server_default="{}"))
    op.create_table(
        "memory_observations",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "model_id",
            sa.String(32),
            sa.ForeignKey("models.id", name="fk_memory_observations_model_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("device_kind", sa.String(8), nullable=False),
        sa.Column("options", sa.String(200), nullable=False),
        sa.Column("event", sa.String(8), nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False),
        sa.Column("moving_bytes", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.Float, nullable=False),
        sa.Column("peak_bytes", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_memory_observations_model", "memory_observations", ["model_id", "device_kind", "options"])


def downgrade() -> None:
    op.drop_table("memory_observations")
    with op.batch_alter_table("models") as models:
        models.drop_column("load_options")
