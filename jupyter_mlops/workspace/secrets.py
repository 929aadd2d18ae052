"""Secrets by name: ``secret:NAME`` stands for a value that only the moment of use sees.

The value is the environment variable NAME (where JupyterHub puts what a user or group was given)
or, failing that, the password NAME of the service ``jupyter-mlops`` in the keyring.
"""

from __future__ import annotations

import os
import re
from typing import Final

from jupyter_mlops.workspace.errors import Invalid, NotFound

__all__ = ["SERVICE", "is_secret", "reveal"]

SERVICE: Final = "jupyter-mlops"
_FORM: Final = re.compile(r"secret:([A-Za-z_][A-Za-z0-9_.\-]*)")


def is_secret(text: str) -> bool:
    """Whether a text names a secret instead of being one.

    Examples
    --------
    >>> is_secret("secret:WAREHOUSE"), is_secret("hunter2")
    (True, False)
    """
    return _FORM.fullmatch(text) is not None


def reveal(text: str) -> str:
    """The value that ``secret:NAME`` stands for.

    Raises
    ------
    Invalid
        The text names no secret.
    NotFound
        Neither the environment nor the keyring has it.

    Examples
    --------
    >>> os.environ["WAREHOUSE"] = "s3same"
    >>> reveal("secret:WAREHOUSE")
    's3same'
    """
    match = _FORM.fullmatch(text)
    if match is None:
        # What was written may be the secret itself, so the message doesn't repeat it.
        raise Invalid(
            "a secret must be given by name",
            fix="write secret:NAME and put the value into the environment variable NAME",
            code="E-SECRET-001",
        )
    name = match[1]
    found = os.environ.get(name) or _from_keyring(name)
    if not found:
        raise NotFound(
            f"there is no secret {name!r}",
            f"neither the environment nor the keyring ({SERVICE}) has it",
            f"set the environment variable {name}, or run `keyring set {SERVICE} {name}`",
            code="E-SECRET-002",
        )
    return found


def _from_keyring(name: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(SERVICE, name)
    except KeyringError:  # a machine without a keyring service has no secrets in it
        return None
    return found
