"""What the filters of the lists look through: rare jobs, pictures of a model, words of prompts."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0600"
down_revision = "20261121_0500"

INDEXES = (
    ("ix_jobs_failed", "jobs", ["seq"], "status = 'failed'"),
    ("ix_jobs_cancelled", "jobs", ["seq"], "status = 'cancelled'"),
    ("ix_jobs_no_picture", "jobs", ["kind", "seq"], "kind <> 'image.generate'"),
    ("ix_images_model", "images", ["model", "seq"], "deleted_at IS NULL"),
)


def upgrade() -> None:
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, sqlite_where=sa.text(where))
    op.execute(
        "CREATE VIRTUAL TABLE images_words USING fts5(prompt, content=images, content_rowid=seq, tokenize=trigram)"
    )
    op.execute("INSERT INTO images_words (images_words) VALUES ('rebuild')")
    op.execute(
        "CREATE TRIGGER images_words_in AFTER INSERT ON images BEGIN"
        " INSERT INTO images_words (rowid, prompt) VALUES (new.seq, new.prompt); END"
    )
    op.execute(
        "CREATE TRIGGER images_words_out AFTER DELETE ON images BEGIN"
        " INSERT INTO images_words (images_words, rowid, prompt) VALUES ('delete', old.seq, old.prompt); END"
    )
    op.execute(
        "CREATE TRIGGER images_words_new AFTER UPDATE OF prompt ON images BEGIN"
        " INSERT INTO images_words (images_words, rowid, prompt) VALUES ('delete', old.seq, old.prompt);"
        " INSERT INTO images_words (rowid, prompt) VALUES (new.seq, new.prompt); END"
    )


def downgrade() -> None:
    for trigger in ("images_words_in", "images_words_out", "images_words_new"):
        op.execute(f"DROP TRIGGER {trigger}")
    op.drop_table("images_words")
    for name, table, _columns, _where in INDEXES:
        op.drop_index(name, table)
