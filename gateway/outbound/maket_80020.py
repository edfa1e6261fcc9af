"""Hands hours to a billing as makets 80020 over SFTP and takes its maket 80021 for the answer (contracts_schema/maket_target.md)."""

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.problems import Misconfigured, Rejected
from gateway.mapping.maket_80020_write import Encoding, Party
from gateway.mapping.maket_80021 import Reply, Status, read
from gateway.outbound import Answer, Batch, Guarantee, Item, Outcome, Receipt, Target
from gateway.outbound.by_mapping import codes_at
from gateway.outbound.maket_files import Makets
from gateway.outbound.sftp_inbox import Inbox, Litter, handed
from gateway.outbound.sftp_wire import Server, attempt, pinned, private_key
from gateway.settings import Limits

log = logging.getLogger("metergate")

EARLIER: Final = 86400.0
"""So many seconds the clock of a server may be behind ours; what is older than a batch by more does not answer it."""
RAW_BYTES: Final = 1024 * 1024
WORDS: Final = {
    Status.NONCOMMERCIAL: "noncommercial",
    Status.UNKNOWN: "points_unknown",
    Status.FORMAT: "format_errors",
    Status.MALFORMED: "not_well_formed",
}
_BLANKS: Final = re.compile(r"[ _\xa0]+")


class Maket80020(Target, frozen=True, kw_only=True, dict=True):
    """A billing that takes the hours of points as makets 80020, a file a day, and answers each with a maket 80021.

    `host_key`: its line of a known_hosts file; no other key is ever accepted. `password` or `key_file` with its `passphrase`.
    `folder`, `replies`: where files are put and answers are looked for, the latter among those named as `reply` says. `sender_*`,
    `area_*`: what the files say of their sender and area. `zone`: the utility's own, by whose days they are. `crosswalk`: path of a CSV
    with the billing's codes of points. `whole`: whole kWh, what rounding leaves over being carried on. `timeout`: seconds for a whole
    attempt. `reply_bytes`: longest answer read. With a `batch` of more than one its points share the files of their days, and the word on
    a file is the word on all of them.
    """

    host: str
    user: str
    host_key: str
    folder: str
    replies: str
    sender_inn: str
    area_inn: str
    zone: str
    sender_name: str = ""
    area_name: str = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 22
    password: str = ""
    key_file: str = ""
    passphrase: str = ""
    reply: str = "80021*.xml"
    maket: Literal["80020", "80040"] = "80020"
    encoding: Encoding = "windows-1251"
    whole: bool = True
    crosswalk: str = ""
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    reply_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024
    batch: int = 1
    concurrency: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting that cannot be; a secret is not shown."""
        if not self.host or not self.user or not self.folder or not self.replies:
            raise ValueError("host, user, folder and replies: none of them may be empty")
        if bool(self.password) == bool(self.key_file):
            raise ValueError("password, key_file: exactly one of them is wanted")
        for setting in ("sender_inn", "area_inn"):
            if not re.fullmatch(r"[0-9A-Za-z-]{1,40}", getattr(self, setting)):
                raise ValueError(f"{setting}: digits are wanted, or letters and dashes")
        if "*" not in self.reply or "/" in self.reply:
            raise ValueError("reply: what the names of answers look like, with a * in it")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"zone: {self.zone!r} is not an IANA time zone") from error
        try:
            _ = self._makets, self._server
        except Misconfigured as error:
            raise ValueError(str(error)) from error

    def __repr__(self) -> str:
        return f"Maket80020({self.user}@{self.host}:{self.port})"

    @property
    def guarantee(self) -> Guarantee:
        """Its folders tell what it was given and what it said."""
        return "B"

    @property
    def intervals(self) -> bool:
        """It takes hours, and nothing else."""
        return True

    def deliver(self, batch: Batch) -> Receipt:
        """Put the days of the batch into the folder; every item of it is pending until all its days are answered."""
        files, refused = self._makets.write(batch.id, batch.items)
        if files:
            with self._call() as call:
                call.hand_over_all(batch.id, files)
        return handed(batch, refused)

    def ask(self, batch: Batch, tried: Mapping[str, str]) -> Receipt:
        """Read billing's answers to the files the items are in; days that a cut left without their names get them now.

        An item of which no day was handed over is unknown.
        """
        answers: list[Answer] = []
        lines: list[str] = []
        asked = [(item, tried[item.key]) for item in batch.items if item.key in tried]
        with self._call() as call:
            there = call.answers(min((_begun(name) for _, name in asked), default=0.0))
            for item, name in asked:
                files = self._makets.names(name, item)
                if not call.complete(name, files):
                    answers.append(Answer(key=item.key, outcome=Outcome.UNKNOWN))
                    continue
                said = {file: there[_folded(file)] for file in files if _folded(file) in there}
                lines += [f"{file};{reply.status:d};{reply.id}" for file, reply in said.items()]
                answers.append(_answer(item, files, said))
        return Receipt(answers=tuple(answers), raw="\n".join(lines).encode()[:RAW_BYTES])

    @cached_property
    def _makets(self) -> Makets:
        return Makets(
            class_=self.maket,
            sender=Party(self.sender_name, self.sender_inn),
            area=Party(self.area_name, self.area_inn),
            zone=self.zone,
            encoding=self.encoding,
            whole=self.whole,
            codes=codes_at(self.crosswalk),
        )

    @cached_property
    def _server(self) -> Server:
        return Server(
            name=str(self),
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            key=private_key(self.key_file, self.passphrase) if self.key_file else None,
            pinned=pinned(self.host_key),
            timeout=self.timeout,
        )

    @cached_property
    def _memory(self) -> "_Memory":
        return _Memory()

    @contextmanager
    def _call(self) -> "Iterator[_Call]":
        """A connection for one attempt, whose folders are there."""
        call = _Call(self)
        with attempt(self._server, call, self.timeout) as files:
            call.begin(files, self.replies)
            yield call


class _Seen(msgspec.Struct, frozen=True):
    """A version of a file among the answers, and what it says: None when it is no answer."""

    version: tuple[int, int]
    reply: Reply | None


class _Memory:
    """What one process knows of a billing's folders: answers read before, and parts of its own that it could not take away."""

    def __init__(self) -> None:
        self.litter = Litter()
        self.lock = threading.Lock()
        self.seen: dict[str, _Seen] = {}


class _Call(Inbox):
    """One attempt to hand over or to ask."""

    def __init__(self, target: Maket80020) -> None:
        self._target = target
        self._memory = target._memory  # noqa: SLF001 - the two are one thing in two classes
        super().__init__(target.folder, self._memory.litter)

    def answers(self, since: float) -> dict[str, Reply]:
        """Billing's answers by the folded names of the files they speak of, the latest of each; each version of one is read once.

        `since`: seconds since 1970; what is older by more than a day and was not read yet is passed over.
        """
        self.doing = folder = self._target.replies.rstrip("/") or "/"
        found = [one for one in self.files.listdir_attr(folder) if fnmatchcase(one.filename, self._target.reply)]
        seen: dict[str, _Seen] = {}
        for there in sorted(found, key=lambda one: (one.st_mtime or 0, one.filename)):
            version = there.st_size or 0, there.st_mtime or 0
            known = self._memory.seen.get(there.filename)
            if known is None and version[1] < since - EARLIER:
                continue
            if known is None or known.version != version:
                known = _Seen(version, self._reply(f"{folder.rstrip('/')}/{there.filename}", version[0]))
            seen[there.filename] = known
        with self._memory.lock:
            self._memory.seen = seen
        return {_folded(one.reply.name): one.reply for one in seen.values() if one.reply is not None}

    def _reply(self, path: str, size: int) -> Reply | None:
        """What a file among the answers says; one that says nothing is told once in the log, and again when it changes."""
        self.doing = path
        target, why = self._target, f"{size} bytes, more than {self._target.reply_bytes}"
        if size <= target.reply_bytes:
            try:
                return read(self.read(path, size), target.zone, Limits())
            except Rejected as refused:
                why = refused.problems[0].code
        log.warning("target.acknowledgement_not_believed", extra={"facts": {"target": str(target), "file": path, "why": why}})
        return None


def _folded(name: str) -> str:
    """A file's name as it is matched: blanks may have replaced underscores on its way (ATS systems do that), and ends are let be."""
    return _BLANKS.sub("_", name.strip()).casefold()


def _begun(batch: str) -> float:
    """When a batch was made: its id is a UUID of version 7, whose first 48 bits are milliseconds; 0 for any other."""
    try:
        found = UUID(batch)
    except ValueError:
        return 0.0
    return (found.int >> 80) / 1000 if found.version == 7 else 0.0


def _answer(item: Item, files: Sequence[str], said: Mapping[str, Reply]) -> Answer:
    """The word on an item from those on its days: one refused day refuses it, and taken it is when every day is."""
    refused = [f"80021 {reply.status:d} {WORDS[reply.status]}: {file}" for file, reply in said.items() if reply.status >= Status.UNKNOWN]
    if refused:
        return Answer(key=item.key, outcome=Outcome.REFUSED, reason="; ".join(refused)[:1000])
    if not files or len(said) < len(files):
        return Answer(key=item.key, outcome=Outcome.PENDING)
    numbers = [f"{reply.id} {WORDS[reply.status]}" if reply.status in WORDS else reply.id for reply in said.values()]
    return Answer(key=item.key, outcome=Outcome.TAKEN, reference=", ".join(dict.fromkeys(filter(None, numbers)))[:200])
