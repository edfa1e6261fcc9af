"""The composition root: settings to store, formats, routes, worker and web server. The only place that wires them together."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from typing import Any, Final

import msgspec
import uvicorn
import uvloop
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from gateway import postgres
from gateway.inbound import api, drop, soap, web
from gateway.inbound.api import errors
from gateway.inbound.api.docs import NoPages, docs_page, openapi_json
from gateway.inbound.auth import Keyring
from gateway.inbound.door import Door
from gateway.inbound.parts import Parts
from gateway.mapping import formats
from gateway.settings import Settings
from gateway.store import Store, check_schema, migrate
from gateway.worker import Worker

log = logging.getLogger("metergate")

Ready = Callable[[str], None]
"""Is told an address once it is served: of a listener, or as `page` of the status page, with the token that lets in."""


class Urls(msgspec.Struct, frozen=True):
    """Where the database is, by role."""

    owner: str
    app: str
    worker: str


@contextmanager
def open_database(settings: Settings) -> Iterator[Urls]:
    """The database of the settings; an empty URL means the embedded server, which runs until the end of the context."""
    given = settings.database
    if given.url:
        yield Urls(given.url, given.app_url or given.url, given.worker_url or given.url)
        return
    with postgres.start(postgres.default_folder(settings.data)) as server:
        yield Urls(server.url("owner"), server.url("app"), server.url("worker"))


def create_app(settings: Settings, store: Store, over_all: Store | None = None) -> Litestar:
    """The web application over a store of the app role; with one of the worker role, which sees all utilities, it has the status page."""
    parts = Parts(settings, store, formats(settings.limits, settings.formats), Keyring(store), Door(store), {})
    return Litestar(
        route_handlers=[*api.HANDLERS, *soap.HANDLERS, live, ready, docs_page, openapi_json, *([web.routes()] if over_all else [])],
        exception_handlers=errors.HANDLERS,
        openapi_config=OPENAPI,
        request_max_body_size=max(settings.limits.file_bytes, settings.limits.json_bytes) + 1024 * 1024,
        state=State({"parts": parts, "settings": settings, "pages": web.Pages(settings, over_all) if over_all else None}),
        logging_config=None,
    )


OPENAPI: Final = OpenAPIConfig(
    title="Metergate",
    version="1",
    description="Submit meter readings and files, see what became of every row, and, for billing systems, tell what was billed.",
    openapi_router=NoPages("/v1", route_handlers=[]),
    use_handler_docstrings=True,
    security=[{"key": []}],
    components=Components(security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="A key given by the utility")}),
)


@get("/health/live", include_in_schema=False, sync_to_thread=False)
def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@get("/health/ready", include_in_schema=False)
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """The process can take readings: its database answers and has this code's schema."""
    try:
        await asyncio.to_thread(check_schema, request.app.state.parts.store)
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        log.warning("health.not_ready", extra={"facts": {"why": str(error)}})
        return Response({"status": "not ready"}, status_code=503)
    return Response({"status": "ready"})


def serve(settings: Settings, *, ready: Ready | None = None, page: Ready | None = None, stop: Event | None = None) -> None:
    """Run the web server alone, on the database of the settings, until it is told to stop."""
    with open_database(settings) as urls:
        _serve(settings, urls, ready, page, stop)


def work(settings: Settings, *, stop: Event, ready: Callable[[], None] | None = None) -> None:
    """Run the worker alone until `stop`; `ready` is called when it has seen that the database is this code's."""
    with open_database(settings) as urls:
        store = Store(urls.worker, role="worker", pool=settings.database.pool)
        try:
            check_schema(store)
            if ready is not None:
                ready()
            freeze()
            Worker(store, settings, formats(settings.limits, settings.formats)).run(stop)
        finally:
            store.close()


def up(settings: Settings, *, ready: Ready | None = None, page: Ready | None = None, stop: Event | None = None) -> None:
    """Run everything in one process: database, migrations, web server, worker."""
    with open_database(settings) as urls:
        migrate(urls.owner)
        store = Store(urls.worker, role="worker", pool=settings.database.pool)
        ended = Event()
        worker = Thread(target=Worker(store, settings, formats(settings.limits, settings.formats)).run, args=(ended,), name="worker")
        worker.start()
        try:
            _serve(settings, urls, ready, page, stop)
        finally:
            ended.set()
            worker.join()
            store.close()


def freeze() -> None:
    """What is in memory when a process has started stays in it: later sweeps for garbage need not walk over it, some 50 ms each time."""
    gc.collect()
    gc.freeze()


def _serve(settings: Settings, urls: Urls, ready: Ready | None, page: Ready | None, stop: Event | None) -> None:
    store = Store(urls.app, role="app", pool=settings.database.pool)
    check_schema(store)
    over_all = Store(urls.worker, role="worker", pool=2) if web.is_loopback(settings.http.host) else None
    app = create_app(settings, store, over_all)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=20,
        server_header=False,
        limit_concurrency=1000,
    )
    freeze()
    server = _Server(config)
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if stop is not None:
        Thread(target=_wait, args=(stop, server), daemon=True, name="stop").start()
    try:
        with _drop(settings, urls, store) as also, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = [(ready, where) for where in (url, *also)]
            if over_all is not None:
                told.append((page, f"{url}/?token={app.state.pages.token}"))
            runner.run(_run(server, listening, told))
    finally:
        listening.close()
        store.close()
        if over_all is not None:
            over_all.close()


@contextmanager
def _drop(settings: Settings, urls: Urls, store: Store) -> Iterator[list[str]]:
    """The drop of files, where the settings ask for one: what watches it and, with a port, the server; gives where that listens."""
    folder = drop.folder_of(settings)
    if folder is None:
        yield []
        return
    from gateway.inbound import sftp  # noqa: PLC0415 - who has no drop need not wait for its library

    every = Store(urls.worker, role="worker", pool=8)
    try:
        with ExitStack() as stack:
            stack.enter_context(drop.watching(Parts(settings, store, {}, Keyring(store), Door(store), {}), every, folder))
            yield [] if settings.sftp.port is None else [stack.enter_context(sftp.serving(settings, every, folder))]
    finally:
        every.close()


class _Server(uvicorn.Server):
    """Lets those who listen to the status page go when it leaves; else it would wait for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, after every answer that is not endless."""
        pages = self.config.app.state.pages  # type: ignore[union-attr]
        if pages is not None:
            pages.live.close()
        await super().shutdown(sockets)


async def _run(server: uvicorn.Server, listening: socket.socket, told: list[tuple[Ready | None, str]]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells its start by a flag only
        await asyncio.sleep(0.01)
    for tell, url in told if server.started else []:
        if tell is not None:
            tell(url)
    await serving


def _wait(stop: Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is promised, so that a port in use is said at once and port 0 is known."""
    listening = socket.socket(socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((settings.http.host, settings.http.port))
    return listening
