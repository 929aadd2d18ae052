"""What clusters leave elsewhere when the process that held them here dies."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

__all__ = ["end_behind"]

_WAIT: Final = 5.0


def end_behind(gateway: str, name: str) -> str:
    """Have a Dask gateway end a cluster whose process here has died; return what hindered that."""
    try:
        from dask_gateway import Gateway

        async def tell() -> None:
            async with Gateway(gateway, asynchronous=True) as way:
                await asyncio.wait_for(way.stop_cluster(name), _WAIT)

        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, tell()).result()
    # What the gateway says and what the network does have no class in common; nor need it be
    # installed here.
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return f"the gateway at {gateway} may go on with its cluster {name} ({why})"
    return ""
