"""This installation's settings: `metergate.toml` (or nothing) with an overlay of `METERGATE_...` variables; never written by us."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.domain.problems import Misconfigured


class Database(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where PostgreSQL is. An empty `url` means the embedded server in `data`.

    `app_url`, `worker_url`: accounts of lesser rights at an external server; without them the owner's URL is used with the role set.
    """

    url: str = ""
    app_url: str = ""
    worker_url: str = ""
    pool: int = 8


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the web server listens."""

    host: str = "127.0.0.1"
    port: int = 8080


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one untrusted thing may cost. Sizes in bytes, times in seconds.

    `door_readings`: a JSON post up to this size gets its verdicts in the answer; up to `post_readings` it is taken as a file.
    """

    json_bytes: int = 8 * 1024 * 1024
    json_depth: int = 32
    door_readings: int = 1000
    post_readings: int = 10_000
    file_bytes: int = 32 * 1024 * 1024
    archive_entries: int = 1000
    archive_bytes: int = 256 * 1024 * 1024
    archive_ratio: int = 200
    sheet_rows: int = 200_000
    sheet_columns: int = 1_000
    sheet_cells: int = 2_000_000
    cell_characters: int = 32_767
    child_memory: int = 512 * 1024 * 1024
    child_seconds: float = 10.0
    file_problems: int = 10_000


class Worker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the worker works, in seconds. `schedule`: waits before each next attempt; the last one repeats until `patience` is over.

    `jitter`: share by which each wait may differ. `breaker`: failures in a row that open a target's breaker, `breaker_pause` how long.
    """

    lease: float = 30.0
    heartbeat: float = 10.0
    reap: float = 5.0
    poll: float = 1.0
    schedule: tuple[float, ...] = (0.0, 5.0, 60.0, 300.0, 1800.0, 7200.0, 14400.0)
    patience: float = 7 * 86400.0
    jitter: float = 0.2
    breaker: int = 5
    breaker_pause: float = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings.

    `zone` reads local times where no utility says otherwise; `targets`: utility -> name -> settings of a billing connection.
    """

    data: Path = Path("data")
    zone: str = "UTC"
    language: Literal["ru", "uk", "en"] = "ru"
    log: Literal["text", "json"] = "text"
    database: Database = Database()
    http: Http = Http()
    limits: Limits = Limits()
    worker: Worker = Worker()
    targets: dict[str, dict[str, dict[str, Any]]] = {}


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file (`METERGATE_CONFIG`, else `metergate.toml` here if there is one) and lay the environment over it.

    `METERGATE_HTTP_PORT=9000` sets `[http] port`; `METERGATE_DATA=/srv/x` the top key `data`. A text in a target's settings that
    begins with `$` is the name of a variable, with `@` the name of a file, that holds the secret.
    Raises Misconfigured naming the wrong key with its path.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get("METERGATE_CONFIG", "metergate.toml"))
    try:
        tree: dict[str, Any] = msgspec.toml.decode(path.read_bytes()) if path.is_file() else {}
        _overlay(tree, environ)
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {error}") from error
    return msgspec.structs.replace(settings, targets=_with_secrets(settings.targets, environ))


def _path(kind: type, value: object) -> object:
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"Expected a path, got {value!r}")
    return Path(value)


def _overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for variable, text in environ.items():
        name = variable.removeprefix("METERGATE_").lower()
        section, _, key = name.partition("_")
        if not variable.startswith("METERGATE_"):
            continue
        if name in sections and name != "targets":
            tree[name] = text
        elif section in sections and isinstance(sections[section], type) and key in getattr(sections[section], "__struct_fields__", ()):
            tree.setdefault(section, {})[key] = text


def _with_secrets(targets: dict[str, dict[str, dict[str, Any]]], environ: Mapping[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    def secret(where: str, value: object) -> object:
        if not isinstance(value, str) or value[:1] not in ("$", "@"):
            return value
        try:
            return environ[value[1:]] if value[0] == "$" else Path(value[1:]).read_text("utf-8").strip()
        except (KeyError, OSError) as error:
            raise Misconfigured(f"targets.{where}: the secret {value} cannot be read") from error

    return {
        utility: {
            name: {key: secret(f"{utility}.{name}.{key}", value) for key, value in section.items()} for name, section in sections.items()
        }
        for utility, sections in targets.items()
    }
