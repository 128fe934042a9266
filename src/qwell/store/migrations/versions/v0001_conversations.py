"""Conversations, their messages, and the index that finds them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0001"
down_revision = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("current", sa.String(64)),
        sa.Column("settings", sa.JSON, nullable=False),
    )
    op.create_index("conversations_by_time", "conversations", ["updated_at", "id"])
    op.create_table(
        "messages",
        sa.Column("key", _KEY, primary_key=True, autoincrement=True),
        sa.Column(
            "conversation_id",
            sa.String(64),
            sa.ForeignKey("conversations.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(64)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("end", sa.JSON, nullable=False),
        sa.Column("notices", sa.JSON, nullable=False),
        sa.Column("request_id", sa.String(80), nullable=False),
        sa.UniqueConstraint("conversation_id", "id", name="messages_once"),
    )
    is_partial = sa.text("state = 'partial'")
    op.create_index(
        "messages_partial",
        "messages",
        ["key"],
        sqlite_where=is_partial,
        postgresql_where=is_partial,
    )
    if op.get_bind().dialect.name == "sqlite":
        # the terms are cut and folded already: ascii divides them at the spaces between them only
        op.execute(
            "CREATE VIRTUAL TABLE message_terms USING fts5"
            "(terms, tokenize = 'ascii', detail = none, prefix = '1 2 3')"
        )
    else:
        op.create_table(
            "message_terms",
            sa.Column(
                "key",
                sa.BigInteger,
                sa.ForeignKey("messages.key", ondelete="CASCADE"),
                primary_key=True,
            ),
            sa.Column("terms", TSVECTOR, nullable=False),
        )
        op.create_index("message_terms_gin", "message_terms", ["terms"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("message_terms")
    op.drop_table("messages")
    op.drop_table("conversations")
