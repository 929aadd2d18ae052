"""The fsspec client of each kind of store, set up with what a location says."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from jupyter_mlops.data.sources.locations import Location
from jupyter_mlops.data.sources.outgoing import check_host, public_socket
from jupyter_mlops.workspace.errors import Unavailable
from jupyter_mlops.workspace.secrets import reveal

__all__ = ["client_of"]

_PACKAGES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "az": ("adlfs", "azure")}


def client_of(location: Location, allow_private: bool) -> Any:
    """Make the client; it connects when it is first used.

    Raises
    ------
    Unavailable
        The package isn't installed.
    Denied
        The endpoint that the URI names is a private address.
    """
    endpoint = location.options.get("endpoint_url") or location.options.get("account_host")
    guarded = not allow_private and bool(endpoint or location.kind == "http")
    if guarded:
        check_host(endpoint or location.path)
    make = {"s3": _s3, "gs": _gs, "az": _az, "http": _http}[location.kind]
    try:
        made = make(location, guarded)
    except ImportError as error:
        package, extra = _PACKAGES.get(location.kind, ("aiohttp", "s3"))
        if (error.name or "").partition(".")[0] not in {package, ""}:
            raise
        raise Unavailable(
            f"{location.uri} can't be read: {package} isn't installed",
            fix=f'pip install "jupyter_mlops[{extra}]"',
            code="E-OBJECT-010",
        ) from None
    # Fresh listings always, and retries in one place only: see `stores`.
    if hasattr(made, "retries"):
        made.retries = 1
    return made


_FRESH = {"skip_instance_cache": True, "use_listings_cache": False}


def _s3(location: Location, guarded: bool) -> Any:
    s3fs = import_module("s3fs")

    config: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": 1},
        "connect_timeout": 10,
        "read_timeout": 60,
    }
    if guarded:
        config["connector_args"] = {"socket_factory": public_socket}
    region = location.options.get("region")
    profile = location.options.get("profile")
    return s3fs.S3FileSystem(
        anon=location.flag,
        key=location.revealed("key") or location.user or None,
        secret=location.revealed("secret")
        or (reveal(location.password) if location.password else None),
        token=location.revealed("token"),
        endpoint_url=location.options.get("endpoint_url"),
        client_kwargs={"region_name": region} if region else None,
        config_kwargs=config,
        **({"profile": profile} if profile else {}),
        **_FRESH,
    )


def _gs(location: Location, _: bool) -> Any:
    gcsfs = import_module("gcsfs")

    token = "anon" if location.flag else location.revealed("token")
    options = {"project": location.options.get("project"), "token": token}
    endpoint = location.options.get("endpoint_url")
    if endpoint:
        options["endpoint_url"] = endpoint
    return gcsfs.GCSFileSystem(**{k: v for k, v in options.items() if v}, **_FRESH)


def _az(location: Location, _: bool) -> Any:
    adlfs = import_module("adlfs")

    options = {name: location.revealed(name) for name in location.options if name != "anon"}
    if "anon" in location.options:
        options["anon"] = location.flag  # type: ignore[assignment]
    return adlfs.AzureBlobFileSystem(**options, **_FRESH)


def _http(location: Location, guarded: bool) -> Any:
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem

    headers = {"Accept-Encoding": "identity"}
    bearer = location.revealed("bearer")
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    options: dict[str, Any] = {
        "headers": headers,
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60),
    }
    if location.user:
        password = reveal(location.password) if location.password else ""
        options["auth"] = aiohttp.BasicAuth(location.user, password)

    async def session(**named: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(socket_factory=public_socket if guarded else None)
        return aiohttp.ClientSession(connector=connector, **named)

    return HTTPFileSystem(client_kwargs=options, get_client=session, encoded=True, **_FRESH)
