"""Models that are being downloaded."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0700"
down_revision = "20261121_0800"


def upgrade() -> None:
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("download_job", sa.String(32)))
        models.add_column(sa.Column("download_paused", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("models") as models:
        models.drop_column("download_paused")
        models.drop_column("download_job")
