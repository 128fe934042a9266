"""Runs the steps over the connection that migrate.py has opened; Alembic loads this file."""

from __future__ import annotations

from alembic import context

from qwell.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite can, with the transactions that database.py begins
)
with context.begin_transaction():
    context.run_migrations()
