"""Hands batches to a billing as text files over SFTP and reads its acknowledgement files back (contracts_schema/sftp_file.md)."""

import codecs
import logging
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Final

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.outbound import Answer, Batch, Guarantee, Item, Outcome, Receipt, Target
from gateway.outbound.mapped_file import MappedFile
from gateway.outbound.sftp_inbox import Inbox, Litter, handed
from gateway.outbound.sftp_wire import Server, Step, attempt, pinned, private_key, whole
from gateway.outbound.text_file import FIELDS, WORDS, Layout, Unbelievable, Word, answer

log = logging.getLogger("metergate")

REMEMBERED: Final = 1000
RAW_BYTES: Final = 1024 * 1024


class SftpFile(Target, frozen=True, kw_only=True, dict=True):
    """A billing that takes files from a folder and puts its answers into another.

    `host_key`: its line of a known_hosts file; no other key is ever accepted. `password` or `key_file` with its `passphrase`.
    `folder`, `acks`: where files are put and answers are looked for. `name`: of a file, `ack`: of its answer, `{name}` being the file's
    without its ending. `columns`: header -> field, in their order. `codes`: register -> billing's code. `words`: billing's word on a row
    -> taken, refused, later or pending. `mapping`, `crosswalk`: paths of documents by which the file is written instead. `zone`: in which
    times are written. `timeout`: seconds for a whole attempt. `ack_bytes`: longest answer read. `master_path`: the file of master data,
    in `master_encoding`; its size and time must stand still for `master_stable` seconds, and `master_marker`, where one is named, must be
    there and no older.
    """

    host: str
    user: str
    host_key: str
    folder: str
    acks: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 22
    password: str = ""
    key_file: str = ""
    passphrase: str = ""
    name: str = "{batch}.csv"
    ack: str = "{name}.ack.csv"
    encoding: str = "cp1251"
    delimiter: str = ";"
    decimal: str = ","
    columns: dict[str, str] = msgspec.field(default_factory=lambda: {field: field for field in FIELDS})
    header: bool = True
    control: bool = True
    codes: dict[str, str] = msgspec.field(default_factory=dict)
    mapping: str = ""
    crosswalk: str = ""
    words: dict[str, str] = msgspec.field(default_factory=lambda: dict(WORDS))
    zone: str = "UTC"
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    ack_bytes: Annotated[int, msgspec.Meta(ge=1)] = 16 * 1024 * 1024
    master_path: str = ""
    master_marker: str = ""
    master_encoding: str = "utf-8"
    master_stable: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0
    concurrency: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting that cannot be; a secret is not shown."""
        if not self.host or not self.user or not self.folder or not self.acks:
            raise ValueError("host, user, folder and acks: none of them may be empty")
        if bool(self.password) == bool(self.key_file):
            raise ValueError("password, key_file: exactly one of them is wanted")
        for setting, hole in (("name", "batch"), ("ack", "name")):
            if not re.fullmatch(rf"(?!\.)[^{{}}/\x00-\x1f]*\{{{hole}\}}[^{{}}/\x00-\x1f]*(?<!\.part)", getattr(self, setting)):
                raise ValueError(f"{setting}: a file's name with {{{hole}}} in it is wanted, and nothing else in braces")
        if self.folder.rstrip("/") == self.acks.rstrip("/") and self.ack == "{name}.csv":
            raise ValueError("ack: an answer cannot have the name of its file")
        try:
            codecs.lookup(self.master_encoding)
        except LookupError as error:
            raise ValueError(f"master_encoding: {error}") from error
        try:
            _ = self._layout, self._server, self._mapped
        except Misconfigured as error:
            raise ValueError(str(error)) from error

    def __repr__(self) -> str:
        return f"SftpFile({self.user}@{self.host}:{self.port})"

    @property
    def guarantee(self) -> Guarantee:
        """Its folders tell what it was given and what it said."""
        return "B"

    def deliver(self, batch: Batch) -> Receipt:
        """Put the batch into the folder as one file; every item of it is pending until its acknowledgement is there."""
        file = self._file(batch.id)
        content, refused = (self._mapped or self._layout).write(batch.items)
        if content:
            with self._call() as call:
                call.hand_over(file, content)
        return handed(batch, refused)

    def ask(self, batch: Batch, tried: Mapping[str, str]) -> Receipt:
        """Read the acknowledgements of the files the items are in. A file that never got its name is taken away: its items are unknown."""
        files: dict[str, list[Item]] = {}
        for item in batch.items:
            if item.key in tried:
                files.setdefault(self._file(tried[item.key]), []).append(item)
        answers: list[Answer] = []
        lines: list[str] = []
        with self._call() as call:
            for file, items in files.items():
                words = call.acknowledged(file)
                if words is None and call.take_back(file):
                    answers += [Answer(key=item.key, outcome=Outcome.UNKNOWN) for item in items]
                    continue
                whole = [word for word in words or () if word.key == file and word.outcome is Outcome.REFUSED]
                told = _by_key(words or ())
                for item in items:
                    said = whole[:1] or told.get(item.key, [])
                    lines += [word.line for word in said]
                    answers.append(answer(item, said, self._rows(item)) or Answer(key=item.key, outcome=Outcome.PENDING))
        return Receipt(answers=tuple(answers), raw="\n".join(lines).encode()[:RAW_BYTES])

    def master(self) -> Generator[bytes, None, None]:
        """The file at `master_path` as it lies there; a file in the making or one that changes meanwhile is Unavailable."""
        if not self.master_path:
            raise Misconfigured(f"{self}: master_path names no file")
        step = Step()
        step.doing = self.master_path
        with attempt(self._server, step, self.master_timeout) as files:
            pieces = whole(files, self.master_path, self.master_marker, self.master_stable)
            try:
                for text in codecs.iterdecode(pieces, self.master_encoding):
                    yield text.encode()
            except UnicodeError as error:
                raise Rejected(Problem(code="registry_encoding")) from error

    def _rows(self, item: Item) -> int:
        return self._mapped.row_count(item) if self._mapped is not None else len(item.values)

    @cached_property
    def _mapped(self) -> MappedFile | None:
        return MappedFile(self.mapping, self.crosswalk, self.zone) if self.mapping else None

    @cached_property
    def _layout(self) -> Layout:
        return Layout(
            encoding=self.encoding,
            delimiter=self.delimiter,
            decimal=self.decimal,
            columns=self.columns,
            header=self.header,
            control=self.control,
            codes=self.codes,
            words=self.words,
            zone=self.zone,
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

    def _file(self, batch: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", batch):
            raise Misconfigured(f"{batch!r} cannot be the name of a file")
        return self.name.replace("{batch}", batch)

    @contextmanager
    def _call(self) -> "Iterator[_Call]":
        """A connection for one attempt, whose folders are there."""
        call = _Call(self)
        with attempt(self._server, call, self.timeout) as files:
            call.begin(files, self.acks)
            yield call


class _Memory:
    """What one process knows of a billing's folders: answers read before, and parts of its own that it could not take away."""

    def __init__(self) -> None:
        self.litter = Litter()
        self._lock = threading.Lock()
        self._read: dict[str, tuple[tuple[int, int], tuple[Word, ...] | None]] = {}

    def recall(self, name: str, version: tuple[int, int]) -> tuple[bool, tuple[Word, ...] | None]:
        """Whether this version of an answer was read, and what it said; None for one that was not believed and is worth another look."""
        known = self._read.get(name)
        return (True, known[1]) if known and known[0] == version else (False, None)

    def keep(self, name: str, version: tuple[int, int], words: tuple[Word, ...] | None) -> None:
        """Remember what an answer said; the oldest are forgotten."""
        with self._lock:
            self._read.pop(name, None)
            self._read[name] = (version, words)
            while len(self._read) > REMEMBERED:
                del self._read[next(iter(self._read))]


class _Call(Inbox):
    """One attempt to hand over or to ask."""

    def __init__(self, target: SftpFile) -> None:
        self._target = target
        self._memory = target._memory  # noqa: SLF001 - the two are one thing in two classes
        self._layout = target._layout  # noqa: SLF001
        super().__init__(target.folder, self._memory.litter)

    def acknowledged(self, file: str) -> tuple[Word, ...] | None:
        """Billing's words on a file; None when there is no acknowledgement, and none (once said in the log) when it is not believed."""
        name = self._target.ack.replace("{name}", file.rpartition(".")[0] or file)
        self.doing = path = f"{self._target.acks.rstrip('/')}/{name}"
        there = self.stat(path)
        if there is None:
            return None
        size = there.st_size or 0
        version = (size, there.st_mtime or 0)
        known, words = self._memory.recall(path, version)
        if words is None:
            try:
                words = self._layout.read(self._bytes(path, size))
            except Unbelievable as reason:
                if not known:
                    facts = {"target": str(self._target), "file": path, "why": str(reason)}
                    log.warning("target.acknowledgement_not_believed", extra={"facts": facts})
            self._memory.keep(path, version, words)
        return words or ()

    def _bytes(self, path: str, size: int) -> bytes:
        if size > self._target.ack_bytes:
            raise Unbelievable(f"{size} bytes, more than {self._target.ack_bytes}")
        return self.read(path, size)


def _by_key(words: tuple[Word, ...]) -> dict[str, list[Word]]:
    found: dict[str, list[Word]] = {}
    for word in words:
        found.setdefault(word.key, []).append(word)
    return found
