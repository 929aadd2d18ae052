"""What clients of object stores raise, as one sentence each."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.data.sources.objects.outgoing import PrivateAddressError, refused
from jupyter_mlops.workspace.errors import Denied, MLOpsError, NotFound, Unavailable

__all__ = ["explain", "transient"]

_BUSY: Final = {408, 425, 429, 500, 502, 503, 504}
# The clients have no common ancestor, and naming theirs must not import them.
_LOST: Final = {
    "ClientConnectionError",
    "ChunkedEncodingError",
    "ClientPayloadError",
    "ConnectionClosedError",
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "FSTimeoutError",
    "HTTPClientError",
    "IncompleteRead",
    "ProxyError",
    "ReadTimeoutError",
    "ResponseParserError",
    "ServerDisconnectedError",
    "ServiceRequestError",
    "ServiceResponseError",
    "TransportError",
}
# An answer that broke off; aiohttp gives it a status of its own making.
_BROKEN_OFF: Final = {"ClientPayloadError", "IncompleteRead"}
_UNKNOWN_HOST: Final = {"ClientConnectorDNSError", "gaierror"}
_WRONG: Final = {
    "AuthenticationFailed",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidClientTokenId",
    "InvalidToken",
    "NoAuthenticationInformation",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
# Some calls keep only the server's words.
_WRONG_WORDS: Final = re.compile(
    r"access key id you provided does not exist|signature we calculated does not match|"
    r"token (has expired|is expired|.*is invalid)|failed to authenticate the request",
    re.IGNORECASE,
)
_NONE: Final = {
    "ClientAuthenticationError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshError",
}


#: How each kind of store is told who asks.
_WAYS: Final = {
    "http": "USER:secret:NAME@ before the host, or bearer=secret:NAME",
    "s3": "the client's own configuration, or key=secret:NAME&secret=secret:NAME",
    "gs": "the client's own configuration, or token=secret:NAME",
    "az": "the client's own configuration, or account_key=secret:NAME or sas_token=secret:NAME",
}


def transient(error: BaseException) -> bool:
    """Whether something that went wrong may pass by itself."""
    if isinstance(error, MLOpsError):
        return False
    chain = list(_chain(error))
    names = {cls.__name__ for one in chain for cls in type(one).__mro__}
    if any(isinstance(one, PrivateAddressError) for one in chain) or names & _UNKNOWN_HOST:
        return False
    if names & _BROKEN_OFF:
        return True
    status = _status(chain)
    if status is not None:
        return status in _BUSY
    busy = {errno.EBUSY, errno.EREMOTEIO, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE}
    return bool(names & _LOST) or any(
        isinstance(one, ConnectionError | TimeoutError)
        or (isinstance(one, OSError) and one.errno in busy)
        for one in chain
    )


def explain(error: Exception, location: Location) -> MLOpsError:
    """Say what a client's error means."""
    if isinstance(error, MLOpsError):
        return error
    uri = location.uri
    chain = list(_chain(error))
    names = {cls.__name__ for one in chain for cls in type(one).__mro__}
    code = next((c for one in chain if (c := _code(one))), "")
    status = _status(chain)
    said = _said(error, location)
    if any(isinstance(one, PrivateAddressError) for one in chain):
        host = urlsplit(location.options.get("endpoint_url") or location.path).hostname
        return refused(f"{host} (or what it leads to)")
    if code in _WRONG or _WRONG_WORDS.search(said) or status == 401 or names & _NONE:
        return Denied(
            f"the credentials for {uri} are missing or wrong",
            said,
            f"give them by {_WAYS[location.kind]}",
            code="E-OBJECT-006",
        )
    # gcsfs keeps no status of it.
    forbidden = location.kind == "gs" and said.startswith("Forbidden")
    if status == 403 or forbidden or any(isinstance(one, PermissionError) for one in chain):
        return Denied(
            f"access to {uri} is denied",
            said,
            "ask its owner for the right to read and list it, or check the credentials",
            code="E-OBJECT-007",
        )
    if status == 404 or any(isinstance(one, FileNotFoundError) for one in chain):
        return NotFound(
            f"there is no {uri}", "" if said == uri else said, "check the name", code="E-OBJECT-004"
        )
    if names & _UNKNOWN_HOST or transient(error):
        where = location.options.get("endpoint_url") or _host(location)
        return Unavailable(
            f"{where} doesn't answer",
            said,
            "check the address and the network, then read again",
            code="E-OBJECT-011",
        )
    return Unavailable(
        f"{uri} can't be read", said, "check the URI and its options", code="E-OBJECT-012"
    )


def _host(location: Location) -> str:
    if location.kind == "http":
        return urlsplit(location.path).netloc
    return f"the store of {location.uri.partition('?')[0]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "os_error", None)]
        waiting += list(getattr(one, "exceptions", ()))


def _code(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    return str(getattr(error, "error_code", None) or "")  # Azure's


def _status(chain: list[BaseException]) -> int | None:
    for one in chain:
        response: Any = getattr(one, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            found = getattr(one, "status", None) or getattr(one, "status_code", None)
            found = found or getattr(one, "code", None)
        if isinstance(found, int) and 400 <= found < 600:
            return found
    return None


def _said(error: BaseException, location: Location) -> str:
    """A client's own words, without the secrets that they may repeat."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for secret in location.secrets():
        text = text.replace(secret, "***")
    return text[:300]
