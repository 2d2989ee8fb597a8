"""What people say to chat models: conversations, their messages as a tree, presets."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0200"
down_revision = "20261128_0100"

LISTED = "deleted_at IS NULL AND beside_of IS NULL"
CONVERSATION_INDEXES = (
    ("ix_conversations_list", ["owner_id", "archived", "pinned", "updated_at"], LISTED),
    ("ix_conversations_trash", ["deleted_at"], "deleted_at IS NOT NULL"),
    ("ix_conversations_beside", ["beside_of"], "beside_of IS NOT NULL"),
)
MESSAGE_INDEXES = (
    ("ix_chat_messages_growing", ["seq"], "state = 'growing'"),
    ("ix_chat_messages_pictures", ["seq"], "pictures <> '[]'"),
)

# An answer's words are looked through once it has ended: until then they change every second.
WORDS = (
    "CREATE VIRTUAL TABLE conversations_words"
    " USING fts5(title, content=conversations, content_rowid=seq, tokenize=trigram)",
    "CREATE TRIGGER conversations_words_in AFTER INSERT ON conversations BEGIN"
    " INSERT INTO conversations_words (rowid, title) VALUES (new.seq, new.title); END",
    "CREATE TRIGGER conversations_words_out AFTER DELETE ON conversations BEGIN"
    " INSERT INTO conversations_words (conversations_words, rowid, title) VALUES ('delete', old.seq, old.title); END",
    "CREATE TRIGGER conversations_words_new AFTER UPDATE OF title ON conversations BEGIN"
    " INSERT INTO conversations_words (conversations_words, rowid, title) VALUES ('delete', old.seq, old.title);"
    " INSERT INTO conversations_words (rowid, title) VALUES (new.seq, new.title); END",
    "CREATE VIRTUAL TABLE chat_messages_words"
    " USING fts5(content, content=chat_messages, content_rowid=seq, tokenize=trigram)",
    "CREATE TRIGGER chat_messages_words_in AFTER INSERT ON chat_messages WHEN new.state <> 'growing' BEGIN"
    " INSERT INTO chat_messages_words (rowid, content) VALUES (new.seq, new.content); END",
    "CREATE TRIGGER chat_messages_words_out AFTER DELETE ON chat_messages WHEN old.state <> 'growing' BEGIN"
    " INSERT INTO chat_messages_words (chat_messages_words, rowid, content)"
    " VALUES ('delete', old.seq, old.content); END",
    "CREATE TRIGGER chat_messages_words_new AFTER UPDATE OF content, state ON chat_messages"
    " WHEN old.state = 'growing' AND new.state <> 'growing' BEGIN"
    " INSERT INTO chat_messages_words (rowid, content) VALUES (new.seq, new.content); END",
)


def _owner(table: str) -> sa.Column:
    return sa.Column("owner_id", sa.String(32), sa.ForeignKey("users.id", name=f"fk_{table}_owner_id"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        _owner("conversations"),
        sa.Column("title", sa.String(200), nullable=False, server_default=""),
        sa.Column("model", sa.String(200)),
        sa.Column("system_prompt", sa.String, nullable=False, server_default=""),
        sa.Column("parameters", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("beside_of", sa.String(32)),
        sa.Column("head_id", sa.String(32)),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("deleted_at", sa.DateTime),
    )
    for name, columns, where in CONVERSATION_INDEXES:
        op.create_index(name, "conversations", columns, sqlite_where=sa.text(where))
    op.create_table(
        "chat_messages",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column(
            "conversation_id",
            sa.String(32),
            sa.ForeignKey("conversations.id", name="fk_chat_messages_conversation_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("parent_id", sa.String(32)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.String, nullable=False, server_default=""),
        sa.Column("pictures", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("reasoning", sa.String, nullable=False, server_default=""),
        sa.Column("tool_calls", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("tool_call_id", sa.String(200)),
        sa.Column("model", sa.String(200)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("finish_reason", sa.String(32)),
        sa.Column("usage", sa.JSON),
        sa.Column("timing", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime),
    )
    op.create_index("ix_chat_messages_conversation", "chat_messages", ["conversation_id", "seq"])
    for name, columns, where in MESSAGE_INDEXES:
        op.create_index(name, "chat_messages", columns, sqlite_where=sa.text(where))
    op.create_table(
        "chat_presets",
        sa.Column("id", sa.String(32), primary_key=True),
        _owner("chat_presets"),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("system_prompt", sa.String, nullable=False, server_default=""),
        sa.Column("parameters", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("model", sa.String(200)),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("owner_id", "name", name="uq_chat_presets_owner_id_name"),
    )
    for statement in WORDS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("chat_messages", "conversations"):
        for trigger in ("in", "out", "new"):
            op.execute(f"DROP TRIGGER {table}_words_{trigger}")
        op.drop_table(f"{table}_words")
    for table in ("chat_presets", "chat_messages", "conversations"):
        op.drop_table(table)
