"""Saved benchmarks of chat models."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0500"
down_revision = "20261128_0400"


def upgrade() -> None:
    owner = sa.ForeignKey("users.id", name="fk_benchmarks_owner_id")
    op.create_table(
        "benchmarks",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("owner_id", sa.String(32), owner, nullable=False),
        sa.Column("job_id", sa.String(32)),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("server", sa.String(200), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_benchmarks_owner_seq", "benchmarks", ["owner_id", "seq"])
    benchmark = sa.ForeignKey("benchmarks.id", name="fk_benchmark_results_benchmark_id", ondelete="CASCADE")
    op.create_table(
        "benchmark_results",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("benchmark_id", sa.String(32), benchmark, nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.UniqueConstraint("benchmark_id", "model", "concurrency", name="uq_benchmark_results_benchmark_id"),
    )


def downgrade() -> None:
    op.drop_table("benchmark_results")
    op.drop_table("benchmarks")
