"""Conversations, kept in SQLite or PostgreSQL, and answers stored while they grow.

Knows nothing of HTTP, of workers or of how an answer comes about. Importing this package loads
no database library: `keeper` does that when it opens the store.
"""

from qwell.store.keeper import StoreKeeper

__all__ = ["StoreKeeper"]
