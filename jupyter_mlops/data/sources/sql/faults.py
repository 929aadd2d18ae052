"""What a database's refusals mean to a person, in one sentence without the password."""

from __future__ import annotations

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import Fault, Mismatch
from jupyter_mlops.data.sources.sql.statements import not_a_select
from jupyter_mlops.workspace.errors import Denied, Invalid, MLOpsError, NotFound, Unavailable

__all__ = ["explained", "mismatched"]


def explained(fault: Fault, address: Address, uri: str, connected: bool) -> MLOpsError:
    """The error to raise for a fault.

    Parameters
    ----------
    fault : Fault
    address : Address
    uri : str
        How the source is called in a sentence.
    connected : bool
        Whether the server had let us in.
    """
    said, place = _without_secrets(fault.said, address), address.place
    user = f" the user {address.user}" if address.user else ""
    if fault.kind == "credentials":
        name = (address.secret or "").partition(":")[2]
        fix = f"check the user and the secret {name}" if name else "name a user and a secret"
        return Denied(f"{place} doesn't let{user or ' us'} in", said, fix, code="E-DATA-210")
    if fault.kind == "database":
        return NotFound(
            f"there is no database {address.database!r} for{user or ' us'}",
            said,
            "check its name",
            code="E-DATA-211",
        )
    if fault.kind == "unreachable" or not connected:
        return Unavailable(
            f"{place} can't be reached",
            said,
            "check host and port, and whether the server runs"
            if address.scheme not in ("sqlite", "duckdb")
            else "check the file, and that nothing has it open for writing",
            code="E-DATA-212",
        )
    if fault.kind == "permission":
        return Denied(
            f"the user {address.user or 'of this connection'} may not read {uri}",
            said,
            "ask the owner of the table to GRANT SELECT on it",
            code="E-DATA-213",
        )
    if fault.kind == "table":
        return NotFound(
            f"a table of {uri} isn't there",
            said,
            "check its name, and whether somebody has just dropped it",
            code="E-DATA-214",
        )
    if fault.kind == "write":
        return not_a_select(said)
    if fault.kind == "statement":
        return Invalid(
            f"{place} can't make sense of the query",
            said,
            "correct it; it is in the SQL of that database",
            code="E-DATA-215",
        )
    if fault.kind == "lost":
        return Unavailable(
            f"the connection to {place} broke off while {uri} was read",
            said,
            "nothing of it was kept; read it again when the server is back",
            code="E-DATA-216",
        )
    if fault.kind == "interrupted":
        return Unavailable(
            f"{place} stopped the query",
            said,
            "ask for fewer rows with --where, or for more time from the server",
            code="E-DATA-217",
        )
    return Unavailable(
        f"{place} failed to give {uri}", said, "check the server's log", code="E-DATA-218"
    )


def mismatched(error: Mismatch, uri: str) -> Invalid:
    """The error for a value that isn't of its column's declared type."""
    place = f" in row {error.row:,}" if error.row is not None else ""
    return Invalid(
        f"column {error.column!r} of {uri} holds {error.value!r}{place}",
        f"by its declared type it is read as {error.wanted}",
        "correct the value, leave it out with --where, or CAST the column in a --query",
        code="E-DATA-221",
    )


def _without_secrets(said: str, address: Address) -> str:
    # No server repeats a password, but a driver may quote what it was given.
    try:
        hidden = [address.password(), *address.revealed_options().values()]
    except MLOpsError:
        return said  # what can't be revealed now was never sent
    plain = set(address.options.values())
    for value in hidden:
        if value and value not in plain:
            said = said.replace(value, "…")
    return said
