"""Models: what they do, where they come from, what they are made of.

Only shipped models could be there so far, and they are entered anew at every start: their rows are dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0500"
down_revision = "20261121_0100"


def upgrade() -> None:
    op.execute("DELETE FROM models")
    with op.batch_alter_table("models") as models:
        models.drop_column("category")
        models.add_column(sa.Column("task", sa.String(16), nullable=False))
        models.add_column(sa.Column("pipeline", sa.String(100)))
        models.add_column(sa.Column("base", sa.String(200)))
        models.add_column(sa.Column("repo", sa.String(200)))
        models.add_column(sa.Column("commit", sa.String(40)))
        models.add_column(sa.Column("dtype", sa.String(16), nullable=False))
        models.add_column(sa.Column("parameters", sa.Integer, nullable=False))
        models.add_column(sa.Column("pinned", sa.Boolean, nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM models")
    with op.batch_alter_table("models") as models:
        for name in ("pinned", "parameters", "dtype", "commit", "repo", "base", "pipeline", "task"):
            models.drop_column(name)
        models.add_column(sa.Column("category", sa.String(16), nullable=False))
