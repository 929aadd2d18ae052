"""The port for gRPC as it is declared: opened, kept when another fails, and closed."""

from __future__ import annotations

import socket

import pytest
from living import Version, until

from jupyter_mlops import agent, serving
from jupyter_mlops.serving.grpc import messages
from jupyter_mlops.workspace import Conflict, Invalid, Workspace

grpc = pytest.importorskip("grpc")


def live(url: str) -> bool:
    with grpc.insecure_channel(url) as channel:
        method = channel.unary_unary(f"/{messages.SERVICE}/ServerLive")
        try:
            method(b"", timeout=5)
        except grpc.RpcError:
            return False
        return True


def test_a_port_is_opened_kept_and_closed_while_the_endpoint_answers(
    workspace: Workspace, version: Version
) -> None:
    one = agent.bring_up(workspace, "delay", serving.declare(workspace, version))
    assert one.grpc_url == ""
    pid = one.pid
    one = agent.bring_up(workspace, "delay", serving.declare(workspace, version, grpc=0))
    assert live(one.grpc_url)
    again = agent.bring_up(workspace, "delay", serving.declare(workspace, version, replicas=2))
    assert (again.grpc_url, again.pid) == (one.grpc_url, pid)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        generation = serving.declare(workspace, version, grpc=port)
        until(lambda: "another program uses it" in serving.get(workspace, "delay").reason)
        assert live(one.grpc_url)
        assert generation > 1
    with pytest.raises(Conflict, match="belongs to endpoint 'delay'"):
        serving.declare(workspace, version, "other", port=port)
    with pytest.raises(Invalid, match="for HTTP and for gRPC"):
        serving.declare(workspace, version, port=5005, grpc=5005)
    closed = agent.bring_up(workspace, "delay", serving.declare(workspace, version, grpc="off"))
    assert (closed.grpc_url, closed.pid) == ("", pid)
    assert not live(one.grpc_url)
