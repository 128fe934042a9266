"""The index over messages: FTS5 in SQLite, a tsvector in PostgreSQL, the same terms in both.

Knows how terms are stored and looked for, nothing of conversations.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Integer, Select, column, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import cast

from qwell.store.terms import Term, index_terms

_POSTGRES_TERMS = table("message_terms", column("key"), column("terms", TSVECTOR))


async def put(connection: AsyncConnection, key: int, content: str) -> None:
    """Index a message, in place of what it was found by before."""
    await drop(connection, [key])
    terms = index_terms(content)
    if connection.dialect.name == "sqlite":
        statement = text("INSERT INTO message_terms (rowid, terms) VALUES (:key, :terms)")
        await connection.execute(statement, {"key": key, "terms": " ".join(terms)})
    else:
        statement = text(
            "INSERT INTO message_terms (key, terms) VALUES (:key, array_to_tsvector(:terms))"
        )
        await connection.execute(statement, {"key": key, "terms": terms})


async def drop(connection: AsyncConnection, keys: Iterable[int]) -> None:
    name = "rowid" if connection.dialect.name == "sqlite" else "key"
    statement = text(f"DELETE FROM message_terms WHERE {name} = :key")  # noqa: S608  one of two names
    rows = [{"key": key} for key in keys]
    if rows:
        await connection.execute(statement, rows)


def keys_with(terms: list[Term], dialect: str) -> Select[int]:
    """Keys of the messages that have every term."""
    if dialect == "sqlite":
        found = literal_column("rowid", Integer).label("key")
        matches = text("message_terms MATCH :terms").bindparams(terms=_fts5(terms))
        return select(found).select_from(table("message_terms")).where(matches)
    query = cast(_tsquery(terms), TSQUERY)
    return select(_POSTGRES_TERMS.c.key).where(_POSTGRES_TERMS.c.terms.bool_op("@@")(query))


def _fts5(terms: list[Term]) -> str:
    """Terms are letters and digits only, so that quotes suffice."""
    return " AND ".join(f'"{term.text}"{"*" if term.is_prefix else ""}' for term in terms)


def _tsquery(terms: list[Term]) -> str:
    return " & ".join(f"'{term.text}'{':*' if term.is_prefix else ''}" for term in terms)
