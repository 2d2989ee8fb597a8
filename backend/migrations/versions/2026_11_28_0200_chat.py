"""What people say to chat models: conversations, their messages as a tree, presets."""

revision = "20261128_0200"
down_revision = "20261128_0100"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
