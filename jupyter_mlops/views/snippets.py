"""How to call an endpoint from a shell, from Python and from JavaScript: text to copy and run."""

from __future__ import annotations

import json
import shlex
from pprint import pformat
from typing import Any, Final

from jupyter_mlops.serving.endpoints import Endpoint
from jupyter_mlops.views.blocks import Code, Snippets

__all__ = ["snippets"]

_STAND_INS: Final[dict[str, Any]] = {
    "string": "…",
    "boolean": True,
    "datetime": "2026-01-31T12:00:00Z",
    "binary": "AAAA",
    "double": 0.5,
    "float": 0.5,
}


def snippets(endpoint: Endpoint) -> Snippets:
    """The same request in curl, Python and JavaScript, made of the model's input example.

    The token is read from its file: none of them holds it.
    """
    row = _row(endpoint)
    return Snippets(
        title="Call it",
        items=[
            Code(language="bash", title="curl", text=_curl(endpoint, row)),
            Code(language="python", title="Python", text=_python(endpoint, row)),
            Code(language="javascript", title="JavaScript", text=_javascript(endpoint, row)),
        ],
    )


def _row(endpoint: Endpoint) -> dict[str, Any]:
    kinds = {name: kind for name, kind, _ in endpoint.inputs}
    row = {
        name: endpoint.example.get(name, _STAND_INS.get(kind, 0)) for name, kind in kinds.items()
    }
    if endpoint.key and endpoint.key not in row:
        row[endpoint.key] = "id-1"
    if endpoint.time and endpoint.time not in row:
        row[endpoint.time] = _STAND_INS["datetime"]
    return row


def _curl(endpoint: Endpoint, row: dict[str, Any]) -> str:
    body = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    return (
        f'curl -H "Authorization: Bearer $(cat {shlex.quote(str(endpoint.token_path))})" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)} \\\n"
        f"  {endpoint.url}/invocations"
    )


def _python(endpoint: Endpoint, row: dict[str, Any]) -> str:
    rows = pformat([row], width=84, sort_dicts=False)
    return (
        "from pathlib import Path\n\n"
        "import requests\n\n"
        f"token = Path({str(endpoint.token_path)!r}).read_text().strip()\n"
        f"rows = {rows.replace(chr(10), chr(10) + ' ' * 7)}\n"
        "response = requests.post(\n"
        f'    "{endpoint.url}/invocations",\n'
        '    headers={"Authorization": f"Bearer {token}"},\n'
        '    json={"dataframe_records": rows},\n'
        "    timeout=60,\n"
        ")\n"
        "response.raise_for_status()\n"
        "print(response.json())"
    )


def _javascript(endpoint: Endpoint, row: dict[str, Any]) -> str:
    # JSON is JavaScript; a path in JSON's quotes is a string of it.
    rows = json.dumps([row], ensure_ascii=False, indent=2)
    path = json.dumps(str(endpoint.token_path), ensure_ascii=False)
    return (
        "import { readFileSync } from 'node:fs';\n\n"
        f"const token = readFileSync({path}, 'utf8').trim();\n"
        f"const rows = {rows};\n"
        f"const response = await fetch('{endpoint.url}/invocations', {{\n"
        "  method: 'POST',\n"
        "  headers: {\n"
        "    Authorization: `Bearer ${token}`,\n"
        "    'Content-Type': 'application/json'\n"
        "  },\n"
        "  body: JSON.stringify({ dataframe_records: rows })\n"
        "});\n"
        "console.log(response.status, await response.json());"
    )
