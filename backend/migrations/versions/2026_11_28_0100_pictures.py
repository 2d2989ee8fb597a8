"""More of pictures: what they are made from, what their owner thinks of them; inputs, prompts, sign-in."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_0100"
down_revision = "20261121_0700"

IMAGE_INDEXES = (
    ("ix_images_favourite", ["seq"], "favourite = 1 AND deleted_at IS NULL"),
    ("ix_images_rating", ["rating", "seq"], "deleted_at IS NULL"),
    ("ix_images_size", ["width", "height", "seq"], "deleted_at IS NULL"),
    ("ix_images_created", ["created_at", "seq"], "deleted_at IS NULL"),
    ("ix_images_video", ["seq"], "kind = 'video' AND deleted_at IS NULL"),
    ("ix_images_parent", ["parent_id"], "parent_id IS NOT NULL"),
)


# 1 wider than high, -1 higher than wide, 0 square.
ASPECT = "(width > height) - (width < height)"
LORAS = (
    "CREATE TRIGGER images_loras_in AFTER INSERT ON images BEGIN"
    " INSERT OR IGNORE INTO image_loras (lora, image_seq)"
    " SELECT coalesce(json_extract(value, '$.key'), json_extract(value, '$.model')), new.seq"
    " FROM json_each(new.recipe, '$.loras') WHERE json_type(value) = 'object'"
    " AND coalesce(json_extract(value, '$.key'), json_extract(value, '$.model')) IS NOT NULL; END"
)


def _owner(table: str) -> sa.Column:
    return sa.Column("owner_id", sa.String(32), sa.ForeignKey("users.id", name=f"fk_{table}_owner_id"), nullable=False)


def _image(table: str) -> sa.Column:
    key = sa.ForeignKey("images.seq", name=f"fk_{table}_image_seq", ondelete="CASCADE")
    return sa.Column("image_seq", sa.Integer, key, primary_key=True)


def upgrade() -> None:
    # Not as a batch: that would copy the table, and lose the triggers that keep the words of its prompts.
    op.add_column("images", sa.Column("kind", sa.String(8), nullable=False, server_default="image"))
    op.add_column("images", sa.Column("parent_id", sa.String(32)))
    op.add_column("images", sa.Column("favourite", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("images", sa.Column("rating", sa.Integer, nullable=False, server_default="0"))
    op.add_column("images", sa.Column("note", sa.String, nullable=False, server_default=""))
    op.add_column("images", sa.Column("verified", sa.JSON))
    for name, columns, where in IMAGE_INDEXES:
        op.create_index(name, "images", columns, sqlite_where=sa.text(where))
    aspect = [sa.text(ASPECT), "seq"]
    op.create_index("ix_images_aspect", "images", aspect, sqlite_where=sa.text("deleted_at IS NULL"))
    # Which LoRAs a picture was made with, kept from its recipe: to find it by one, and to count.
    op.create_table("image_loras", sa.Column("lora", sa.String(200), primary_key=True), _image("image_loras"))
    op.create_index("ix_image_loras_image", "image_loras", ["image_seq"])
    op.execute(LORAS)
    op.add_column("users", sa.Column("password_hash", sa.String(200)))
    op.create_table("image_tags", _image("image_tags"), sa.Column("tag", sa.String(40), primary_key=True))
    op.create_index("ix_image_tags_tag", "image_tags", ["tag", "image_seq"])
    op.create_table(
        "collections",
        sa.Column("id", sa.String(32), primary_key=True),
        _owner("collections"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("owner_id", "name", name="uq_collections_owner_id_name"),
    )
    op.create_table(
        "collection_images",
        sa.Column(
            "collection_id",
            sa.String(32),
            sa.ForeignKey("collections.id", name="fk_collection_images_collection_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        _image("collection_images"),
    )
    op.create_index("ix_collection_images_image", "collection_images", ["image_seq"])
    op.create_table(
        "inputs",
        sa.Column("id", sa.String(32), primary_key=True),
        _owner("inputs"),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("used_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_inputs_sha256", "inputs", ["owner_id", "sha256"])
    op.create_table(
        "prompts",
        sa.Column("id", sa.String(32), primary_key=True),
        _owner("prompts"),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("prompt", sa.String, nullable=False),
        sa.Column("negative_prompt", sa.String, nullable=False, server_default=""),
        sa.Column("favourite", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("uses", sa.Integer, nullable=False, server_default="0"),
        sa.Column("used_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("owner_id", "kind", "name", name="uq_prompts_owner_id_kind_name"),
    )
    op.create_index("ix_prompts_used", "prompts", ["owner_id", "kind", "used_at"])


def downgrade() -> None:
    op.execute("DROP TRIGGER images_loras_in")
    op.drop_index("ix_images_aspect", "images")
    for table in ("image_loras", "prompts", "inputs", "collection_images", "collections", "image_tags"):
        op.drop_table(table)
    op.drop_column("users", "password_hash")
    for name, _columns, _where in IMAGE_INDEXES:
        op.drop_index(name, "images")
    for column in ("kind", "parent_id", "favourite", "rating", "note", "verified"):
        op.drop_column("images", column)
