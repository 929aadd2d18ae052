"""Addresses that a URL given by a person may reach.

The address is looked at when a connection to it is made, not when the URL is read: a name that
resolves elsewhere a moment later, and a redirect to a private place, are both refused.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from jupyter_mlops.workspace.errors import Denied

__all__ = ["PrivateAddressError", "check_host", "public_socket", "refused"]


class PrivateAddressError(OSError):
    """A connection to a private address was about to be made."""


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for a connection to a public address; what aiohttp takes for `socket_factory`.

    Raises
    ------
    PrivateAddressError
        It is loopback, link-local, private or reserved.
    """
    family, kind, protocol, _, where = address
    _check(where[0])
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    return made


def check_host(url: str) -> None:
    """Refuse a URL whose host is a private address, or has one.

    Raises
    ------
    Denied
        It has.
    """
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return  # a host that nobody knows is told when it is asked
    for *_, where in found:
        try:
            _check(str(where[0]))
        except PrivateAddressError:
            raise refused(host) from None


def refused(host: str) -> Denied:
    """Tell that an address is private, and how to allow it."""
    return Denied(
        f"{host} is a private address",
        "a URL could reach what only this machine or its network may see",
        "allow it with JUPYTER_MLOPS_ALLOW_PRIVATE_URLS=true",
        code="E-OBJECT-001",
    )


def _check(address: str) -> None:
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    if not found.is_global or found.is_multicast or (inner and not inner.is_global):
        raise PrivateAddressError(f"{address} is private")
