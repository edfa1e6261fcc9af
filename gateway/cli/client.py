"""A client of a running gateway's published API, and of nothing else."""

import argparse
import os
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from gateway import texts
from gateway.cli.common import settings_of
from gateway.domain.problems import Misconfigured, Unavailable

TRIES: Final = 3
LOOK: Final = 0.5
"""Seconds between two looks at a submission."""
MOVING: Final = frozenset({"accepted", "queued", "sent"})
"""States in which billing has not yet had its say."""

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - the gateway's word
    """The gateway refused the request; its problem document says why."""

    def __init__(self, document: Json) -> None:
        """Keep the document."""
        super().__init__(str(document.get("code", "")))
        self.document = document
        self.passing = int(document.get("status") or 0) >= 500
        """Whether time alone may heal it."""


class Gateway:
    """One gateway at one address with one key."""

    def __init__(self, url: str, key: str, language: texts.Language) -> None:
        """Connect lazily; a gateway on this machine is never asked for through a proxy."""
        self.language = language
        near = httpx.URL(url).host in ("127.0.0.1", "::1", "localhost")
        headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=60.0, trust_env=not near)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int) -> Json:
        """Ask and return the answer. Raises Refused, Unavailable."""
        return _json(self._call("GET", path, params={name: value for name, value in query.items() if value != ""}))

    def download(self, path: str, **query: str) -> bytes:
        """Ask for a file. Raises Refused, Unavailable."""
        return self._call("GET", path, params=query).content

    def send(self, path: Path, envelope: dict[str, str]) -> Json:
        """Hand a file in and return the receipt. A lost answer is asked for again under the same key, so nothing is taken twice."""
        body, told = path.read_bytes(), {name: value for name, value in envelope.items() if value}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        if path.suffix.lower() == ".json" and not told:
            return _json(self._call("POST", "/v1/readings", content=body, headers=key | {"Content-Type": "application/json"}))
        return _json(self._call("POST", "/v1/files", files={"file": (path.name, body)}, data=told, headers=key))

    def submission(self, name: str) -> Json:
        """One submission with its rows, problems and timeline."""
        return self.get(f"/v1/submissions/{name}")

    def settled(self, name: str, patience: float) -> tuple[Json, bool]:
        """Look at a submission until every row was taken by billing or refused; False when that was not within the time.

        A gateway that is away for a moment is asked again. Raises Refused, Unavailable when it was away at the end too.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                found = self.submission(name)
            except (Refused, Unavailable) as error:
                if time.monotonic() > deadline or (isinstance(error, Refused) and not error.passing):
                    raise
                time.sleep(LOOK)
                continue
            if found["status"] != "received" and not any(row["status"] in MOVING for row in found["readings"]):
                return found, True
            if time.monotonic() > deadline:
                return found, False
            time.sleep(LOOK)

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = self._answered(method, path, request)
        if answer.is_success:
            return answer
        try:
            raise Refused(msgspec.json.decode(answer.content, type=Json))
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{self._client.base_url} answered {answer.status_code}, not as a gateway does", sent=True) from error

    def _answered(self, method: str, path: str, request: Json) -> httpx.Response:
        """Call until there is an answer; nobody listening is told at once."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._client.request(method, path, **request)
            except httpx.ConnectError as error:
                raise Unavailable(f"{self._client.base_url}: {error}", sent=False) from error
            except httpx.TransportError as error:
                if attempt == TRIES:
                    raise Unavailable(f"{self._client.base_url}: {str(error) or type(error).__name__}", sent=True) from error
                time.sleep(LOOK)
        raise AssertionError(TRIES)


def _json(answer: httpx.Response) -> Json:
    try:
        return msgspec.json.decode(answer.content, type=Json)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{answer.url.copy_with(query=None)} answered something else than JSON", sent=True) from error


def gateway_of(args: argparse.Namespace) -> Gateway:
    """The gateway and key that the options, the environment or the settings name. Raises Misconfigured."""
    settings = settings_of(args)
    host = f"[{settings.http.host}]" if ":" in settings.http.host else settings.http.host
    url = args.url or os.environ.get("METERGATE_URL", "") or f"http://{host}:{settings.http.port}"
    key = args.key or os.environ.get("METERGATE_KEY", "")
    if key.startswith("@"):
        key = Path(key[1:]).read_text("utf-8").strip()
    if not key:
        raise Misconfigured("no access key: give --key or METERGATE_KEY (metergate partner add makes one)")
    if not (key.isascii() and key.isprintable()):
        raise Misconfigured("the access key holds characters that no key has")
    try:
        scheme = httpx.URL(url).scheme
    except httpx.InvalidURL as error:
        raise Misconfigured(f"{url}: {error}") from error
    if scheme not in ("http", "https"):
        raise Misconfigured(f"{url}: an http or https address is wanted")
    return Gateway(url, key, settings.language)


def say_refusal(refusal: Refused) -> None:
    """Print a problem document to stderr: every problem with its place and what to do."""
    errors = refusal.document.get("errors") or []
    for problem in errors:
        where = f"{problem['where']}: " if problem.get("where") else ""
        print(f"{where}{problem.get('text', '')} {problem.get('todo', '')} [{problem.get('code', '')}]", file=sys.stderr)
    if not errors:
        print(f"metergate: refused: {refusal.document.get('title') or refusal.document}", file=sys.stderr)
