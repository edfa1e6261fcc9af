"""This installation's settings: `metergate.toml` (or nothing) with an overlay of `METERGATE_...` variables; never written by us."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.problems import Misconfigured

LONG: Final = 10 * 366 * 86400.0
"""Seconds no setting may exceed: ten years."""

Count = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=LONG)]
Span = Annotated[float, msgspec.Meta(gt=0, le=LONG)]


class Database(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where PostgreSQL is. An empty `url` means the embedded server in `data`.

    `app_url`, `worker_url`: accounts of lesser rights at an external server; without them the owner's URL is used with the role set.
    """

    url: str = ""
    app_url: str = ""
    worker_url: str = ""
    pool: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 8


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the web server listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080


class Sftp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The SFTP drop. Without a `port` no server listens; with a `folder` alone it is watched, for an SSH server of the machine's own.

    `folder`: where the drops of all partners lie, `sftp` in `data` when empty. `stable`: seconds for which size and time of a file must
    not change before it is taken. `scan`: seconds between two looks. `refresh`: the same for statuses written back.
    `incomplete_after`: seconds after which a file that never became whole is told to be incomplete; one whose name says that it is in
    the making is removed after seven times as long. `idle`: seconds without a request after which a connection is closed.
    `partner_bytes`, `partner_files`: the most that may lie in the `in` of one login, with what it is writing.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    folder: str = ""
    stable: Wait = 5.0
    scan: Span = 1.0
    refresh: Span = 1.0
    incomplete_after: Span = 86400.0
    idle: Span = 900.0
    partner_bytes: Count = 2 * 1024**3
    partner_files: Count = 20_000


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one untrusted thing may cost. Sizes in bytes, times in seconds.

    `door_readings`: a JSON post up to this size gets its verdicts in the answer; up to `post_readings` it is taken as a file.
    `mark_cells`: a workbook of more cells is not marked itself; its problems come in a new one.
    """

    json_bytes: Count = 8 * 1024 * 1024
    json_depth: Count = 32
    door_readings: Count = 1000
    post_readings: Count = 10_000
    file_bytes: Count = 32 * 1024 * 1024
    archive_entries: Count = 1000
    archive_bytes: Count = 256 * 1024 * 1024
    archive_ratio: Count = 200
    sheet_rows: Count = 200_000
    sheet_columns: Count = 1_000
    sheet_cells: Count = 2_000_000
    cell_characters: Count = 32_767
    child_memory: Count = 512 * 1024 * 1024
    child_seconds: Span = 10.0
    file_problems: Count = 10_000
    xml_depth: Count = 64
    xml_attributes: Count = 64
    soap_bytes: Count = 48 * 1024 * 1024
    registry_bytes: Count = 1024 * 1024 * 1024
    mark_cells: Count = 100_000


class Worker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the worker works, in seconds. `schedule`: waits before each next attempt; the last one repeats until `patience` is over.

    `jitter`: share by which each wait may differ. `breaker`: failures in a row that open a target's breaker, `breaker_pause` how long.
    """

    lease: Span = 30.0
    heartbeat: Span = 10.0
    reap: Span = 5.0
    poll: Span = 1.0
    schedule: Annotated[tuple[Wait, ...], msgspec.Meta(min_length=1)] = (0.0, 5.0, 60.0, 300.0, 1800.0, 7200.0, 14400.0)
    patience: Wait = 7 * 86400.0
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    breaker: Count = 5
    breaker_pause: Wait = 30.0


class Links(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often an agreement may be asked for, and where a letter leads.

    `per_login`, `per_agreement`: the most askings in an hour of one login and of one agreement number. `resend`: seconds in which the same
    asking once more gets no second letter. `confirm_url`: by utility, the portal's page of confirmation with `{secret}` in it.
    """

    per_login: Count = 20
    per_agreement: Count = 10
    resend: Wait = 60.0
    confirm_url: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse an address without a place for the secret."""
        for utility, url in self.confirm_url.items():
            if url.count("{secret}") != 1 or not url.startswith(("https://", "http://")):
                raise ValueError(f"confirm_url: {utility}: a web address with {{secret}} in it once is wanted")


class Reminders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When reminders are written. `hour`: of the day in the zone of each profile. `look`: seconds between two looks at the clock."""

    hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 9
    look: Span = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings.

    `zone` reads local times where no utility says otherwise; `targets`: utility -> name -> settings of a billing connection; `formats`:
    name -> settings of a format from outside, whose `kind` is the dotted name of its module.
    """

    data: Path = Path("data")
    zone: str = "UTC"
    language: Literal["ru", "uk", "en"] = "ru"
    log: Literal["text", "json"] = "text"
    database: Database = Database()
    http: Http = Http()
    sftp: Sftp = Sftp()
    limits: Limits = Limits()
    worker: Worker = Worker()
    reminders: Reminders = Reminders()
    links: Links = Links()
    formats: dict[str, dict[str, Any]] = {}
    targets: dict[str, dict[str, dict[str, Any]]] = {}

    def __post_init__(self) -> None:
        """Refuse a zone that does not exist."""
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"zone: {self.zone!r} is not an IANA time zone") from error


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file (`METERGATE_CONFIG`, else `metergate.toml` here if there is one) and lay the environment over it.

    `METERGATE_HTTP_PORT=9000` sets `[http] port`; `METERGATE_DATA=/srv/x` the top key `data`; an array is given as in JSON. Targets
    stand in the file only. A text in a target's settings that begins with `$` is the name of a variable, with `@` the name of a file,
    that holds the secret. Raises Misconfigured naming the wrong key with its path, or the file that was named and is not there.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["METERGATE_CONFIG"]) if environ.get("METERGATE_CONFIG") else None)
    if named is not None and not named.is_file():
        raise Misconfigured(f"{named}: there is no such settings file")
    path = named or Path("metergate.toml")
    try:
        tree: dict[str, Any] = msgspec.toml.decode(path.read_bytes()) if path.is_file() else {}
        _overlay(tree, environ)
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path if path.is_file() else 'settings'}: {error}") from error
    return msgspec.structs.replace(settings, targets=_with_secrets(settings.targets, environ))


def _path(kind: type, value: object) -> object:
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"Expected a path, got {value!r}")
    return Path(value)


def _overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay the variables over the file. Raises Misconfigured for one that names no key of a section."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    sections = {name: kind.__struct_fields__ for name, kind in kinds.items() if hasattr(kind, "__struct_fields__")}
    for variable, text in environ.items():
        name = variable.removeprefix("METERGATE_").lower()
        section, _, key = name.partition("_")
        if not variable.startswith("METERGATE_"):
            continue
        if section == "targets" or name in sections:
            raise Misconfigured(f"{variable}: a whole table cannot be given as a variable, name it in the settings file")
        if name in kinds:
            tree[name] = text
        elif section in sections and key not in sections[section]:
            raise Misconfigured(f"{variable}: [{section}] has no key {key!r}, it has {', '.join(sections[section])}")
        elif section in sections and isinstance(tree.setdefault(section, {}), dict):
            tree[section][key] = _array(text)


def _array(text: str) -> object:
    """A text that is a JSON array as that array, any other as it is."""
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        return text


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
