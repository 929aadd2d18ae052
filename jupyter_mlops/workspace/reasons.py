"""What a database driver's error means to a person, in one sentence with the way out."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jupyter_mlops.workspace.errors import MLOpsError, Unavailable

__all__ = ["explain"]


def explain(error: SQLAlchemyError, place: str) -> MLOpsError | None:
    """The sentence for an error of the store at `place`; None for an error of our own making."""
    if isinstance(error, PoolTimeout):
        return Unavailable(
            f"too many threads use the store at once ({place})",
            fix="wait for some of them, then try again",
            code="E-STORE-015",
        )
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError):
        return None
    text = str(error.orig or error).strip().splitlines()[0]
    for signs, what, fix, code in _SIGNS:
        if any(sign in text for sign in signs):
            return Unavailable(f"{what} ({place})", text, fix, code=code)
    if type(error).__name__ == "OperationalError" or error.connection_invalidated:
        return Unavailable(
            f"the store doesn't answer ({place})",
            text,
            "check that it runs and that JUPYTER_MLOPS_DATABASE_URL is right",
            code="E-STORE-002",
        )
    return None


_SIGNS = (
    (
        ("database is locked", "lock timeout"),
        "another writer held the store for too long",
        "try again, or raise JUPYTER_MLOPS_BUSY_TIMEOUT",
        "E-STORE-010",
    ),
    (
        ("readonly database", "read-only transaction", "permission denied"),
        "the store is read-only for you",
        "get the right to write there, or set JUPYTER_MLOPS_WORKSPACE to a folder of your own",
        "E-STORE-011",
    ),
    (
        ("disk is full", "No space left", "could not extend file"),
        "the disk is full",
        "free some space and run it again",
        "E-STORE-012",
    ),
    (
        ("disk I/O error",),
        "the disk failed",
        "check the disk, its free space and its quota",
        "E-STORE-013",
    ),
    (
        ("unable to open database file",),
        "the store can't be opened",
        "check that its folder exists and that you may write there",
        "E-STORE-014",
    ),
    (
        ("no such table", 'relation "', "no such column", 'column "'),
        "the store lacks a table or column",
        "it was replaced while it was open: restart the kernel",
        "E-STORE-018",
    ),
    (
        ("not a database", "malformed"),
        "the store is damaged",
        "restore the file from a backup; `sqlite3 mlops.db .recover` saves what can be read",
        "E-STORE-019",
    ),
)
