"""The fsspec client of each kind of store, set up with what a location says."""

from __future__ import annotations

import json
import os
import re
from importlib import import_module
from types import MethodType
from typing import Any

from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.data.sources.objects.outgoing import check_host, public_socket
from jupyter_mlops.data.sources.objects.refusals import explain
from jupyter_mlops.workspace.errors import Invalid, Unavailable
from jupyter_mlops.workspace.secrets import reveal

__all__ = ["client_of"]

_PACKAGES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "az": ("adlfs", "azure")}


def client_of(location: Location, allow_private: bool) -> Any:
    """Make the client; it connects when it is first used.

    Raises
    ------
    Unavailable
        The package isn't installed.
    Invalid
        Azure's account isn't named, or can't be one.
    Denied
        Credentials can't be read, or the endpoint that the URI names is a private address.
    """
    endpoint = location.options.get("endpoint_url") or location.options.get("account_host")
    web = location.kind == "http"
    guarded = not allow_private and bool(endpoint or web or "connection_string" in location.options)
    if guarded and (endpoint or web):
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
    except Exception as error:  # credentials that can't be read, before anything is asked
        raise explain(error, location) from None
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


def _gs(location: Location, guarded: bool) -> Any:
    gcsfs = import_module("gcsfs")
    import aiohttp
    from fsspec.asyn import sync

    token = "anon" if location.flag else _token(location.revealed("token"))
    options = {"project": location.options.get("project"), "token": token}
    endpoint = location.options.get("endpoint_url")
    kind = gcsfs.GCSFileSystem
    if endpoint:
        options["endpoint_url"] = endpoint.rstrip("/")
        # The newer class asks by gRPC over TLS which kind of bucket it is: only Google answers, and
        # elsewhere it waits a minute.
        kind = gcsfs.core.GCSFileSystem
    made = kind(**{k: v for k, v in options.items() if v}, retry_timeout=10, **_FRESH)
    for name in ("_request", "_get_file_request"):
        # What is below gcsfs's own retries, which take half a minute and log each failure.
        once = getattr(getattr(kind, name, None), "__wrapped__", None)
        if once is not None:
            setattr(made, name, MethodType(once, made))
    if guarded:

        async def connector() -> aiohttp.TCPConnector:
            return aiohttp.TCPConnector(socket_factory=public_socket)

        made.session_kwargs = {"connector": sync(made.loop, connector)}
    return made


def _token(text: str | None) -> Any:
    """What gcsfs takes: a service account's key, its file, how to find one, or an access token."""
    if not text or text in {"google_default", "cache", "cloud"}:
        return text
    if os.path.isfile(text):  # noqa: PTH113 - a Path fails with a text too long for a name
        return text
    if text.lstrip().startswith("{"):
        return json.loads(text)
    from google.oauth2.credentials import Credentials

    # As text, gcsfs would show it to one of Google's servers to learn when it ends, in a URL.
    return Credentials(text)  # type: ignore[no-untyped-call]


class _Containers(dict[str, Any]):
    """A cache of the list of containers, without which adlfs can't give it, and of nothing else."""

    def __setitem__(self, path: str, listed: Any) -> None:
        if path == "/":
            super().__setitem__(path, listed)


def _az(location: Location, guarded: bool) -> Any:
    adlfs = import_module("adlfs")

    named = [name for name in location.options if name not in {"anon", "endpoint_url"}]
    options: dict[str, Any] = {name: location.revealed(name) for name in named}
    if "anon" in location.options:
        options["anon"] = location.flag
    account = options.get("account_name")
    if account and not re.fullmatch("[A-Za-z0-9-]+", account):
        # It becomes the first part of a host's name, and must not become another host.
        raise Invalid(
            f"{account!r} isn't the name of a storage account",
            "it consists of letters and digits",
            "check account_name; an address belongs into endpoint_url",
            code="E-OBJECT-014",
        )
    endpoint = location.options.get("endpoint_url", "").rstrip("/")
    if endpoint.startswith("https://"):
        options["account_host"] = endpoint.removeprefix("https://")
    elif endpoint:
        # The client takes another scheme from a connection string only.
        known = {
            "BlobEndpoint": endpoint,
            "AccountName": account,
            "AccountKey": options.get("account_key"),
            "SharedAccessSignature": options.get("sas_token"),
        }
        text = ";".join(f"{name}={value}" for name, value in known.items() if value)
        options["connection_string"] = text
    if not {"account_name", "connection_string"} & options.keys() and not (
        {"AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"} & os.environ.keys()
    ):
        raise Invalid(
            f"{location.uri} doesn't say in which storage account it is",
            "containers belong to accounts",
            "add ?account_name=…, or write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/…",
            code="E-OBJECT-013",
        )
    made = adlfs.AzureBlobFileSystem(**options, **_FRESH)
    if guarded:
        check_host(made.service_client.url)
    # The client's own retries take a minute, and adlfs has no option for them.
    config: Any = getattr(made.service_client, "_config", None)
    if hasattr(config, "retry_policy"):
        config.retry_policy.total_retries = 0
    made.dircache = _Containers()
    return made


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
