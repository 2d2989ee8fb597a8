"""Files given through /v1/files, and batches over them."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0300"
down_revision = "20261128_0200"


def _owner(table: str) -> sa.Column:
    return sa.Column("owner_id", sa.String(32), sa.ForeignKey("users.id", name=f"fk_{table}_owner_id"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        _owner("files"),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime),
    )
    op.create_index("ix_files_owner_seq", "files", ["owner_id", "seq"])
    op.create_index("ix_files_expires", "files", ["expires_at"], sqlite_where=sa.text("expires_at IS NOT NULL"))
    op.create_table(
        "batches",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        _owner("batches"),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file_id", sa.String(32), nullable=False),
        sa.Column("output_file_id", sa.String(32)),
        sa.Column("error_file_id", sa.String(32)),
        sa.Column("completion_window", sa.String(8), nullable=False),
        sa.Column("output_seconds", sa.Integer),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("errors", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("total", "completed", "failed")),
        sa.Column("ended", sa.String(16)),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        *(sa.Column(f"{name}_at", sa.DateTime) for name in ("in_progress", "finalizing", "cancelling", "ended")),
    )
    op.create_index("ix_batches_owner_seq", "batches", ["owner_id", "seq"])
    op.create_index("ix_batches_open", "batches", ["seq"], sqlite_where=sa.text("ended IS NULL"))


def downgrade() -> None:
    op.drop_table("batches")
    op.drop_table("files")
