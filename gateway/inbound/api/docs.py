"""The API's description: openapi.json as it is published, and a page that shows it with nothing from anywhere else."""

from html import escape
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get

from gateway.inbound import contracts

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h2{margin:2.5rem 0 .25rem;border-top:1px solid #d0d7de;padding-top:1.5rem}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f6f8fa;padding:.75rem;overflow:auto;border-radius:6px}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #d0d7de;padding:.35rem .5rem;text-align:left;vertical-align:top}.m{color:#0550ae;font-weight:600}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}.m{color:#79c0ff}td,th,h2{border-color:#30363d}}
"""


class NoPages(Router):
    """Stands where the framework would put pages of its own, which load scripts from other hosts."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - the framework's signature
        """Take nothing."""
        return []


def described(app: Litestar) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application."""
    return contracts.complete(app.openapi_schema.to_schema())


def openapi(app: Litestar) -> bytes:
    """The same, laid out for reading; contracts_schema/openapi.json is this, byte for byte."""
    return msgspec.json.format(msgspec.json.encode(described(app), order="sorted"), indent=2) + b"\n"


@get("/v1/openapi.json", include_in_schema=False, media_type=MediaType.JSON, sync_to_thread=True)
def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(openapi(request.app), media_type="application/json")


@get("/docs", include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=True)
def docs_page(request: Request[Any, Any, Any]) -> Response[str]:
    """The API in words, for a network that reaches nothing else."""
    schema = described(request.app)
    title, about = escape(schema["info"]["title"]), escape(schema["info"]["description"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{title} API</title><style>{STYLE}</style><h1>{title} API</h1><p>{about}</p>",
        "<p>Send your key as <code>Authorization: Bearer …</code>. The whole contract: <a href='/v1/openapi.json'>openapi.json</a>.</p>",
    ]
    for path, methods in sorted(schema["paths"].items()):
        parts += [_operation(path, method, operation) for method, operation in methods.items() if isinstance(operation, dict)]
    parts.append("<h2>Types</h2>")
    for name, kind in sorted(schema.get("components", {}).get("schemas", {}).items()):
        shown = escape(msgspec.json.format(msgspec.json.encode(kind), indent=2).decode())
        parts.append(f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary><pre>{shown}</pre></details>")
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}
    return Response("".join(parts), media_type=MediaType.HTML, headers=headers)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{'required' if p.get('required') else ''}"
        for p in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td><code>{code}</code><td>{escape(a.get('description', ''))}" for code, a in sorted(operation["responses"].items())
    )
    bodies = operation.get("requestBody", {}).get("content", {})
    names = {kind: body["schema"].get("$ref", "").rpartition("/")[2] for kind, body in bodies.items()}
    links = {kind: f": <a href='#{escape(name)}'>{escape(name)}</a>" if name else "" for kind, name in names.items()}
    takes = "".join(f"<p>Takes <code>{escape(kind)}</code>{link}.</p>" for kind, link in links.items())
    table = takes + (f"<h3>Parameters</h3><table>{rows}</table>" if rows else "")
    text = escape(operation.get("description", "") or operation.get("summary", ""))
    head = f"<h2><span class=m>{method.upper()}</span> <code>{escape(path)}</code></h2><p>{text}</p>"
    return f"{head}{table}<h3>Answers</h3><table>{answers}</table>"
