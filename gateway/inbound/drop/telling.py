"""Telling partners in `out` what became of their files: `NAME.status.json`, rewritten whenever it changed, and `NAME.problems.xlsx`."""

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Event, Lock
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.profile import Profile
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.inbound.drop import folders, names
from gateway.inbound.drop.folders import Drop
from gateway.inbound.parts import Parts, status_of
from gateway.inbound.views import SubmissionDetail
from gateway.mapping.marked_workbook import marked
from gateway.store import Store, drops, events, people
from gateway.store.drops import Owner
from gateway.texts import Language

log = logging.getLogger("metergate")

SWEEP: Final = 10.0
"""Seconds between two looks at names in whose submissions no event happened: the time of the next attempt is told there too."""
PAGE: Final = 200
"""Names that one such look goes through."""
FRESH: Final = 10.0
"""Seconds for which a utility's rulebooks are not read again for a first receipt; every later one reads them anew."""
FINAL: Final = frozenset({ReadingStatus.BILLED, ReadingStatus.REJECTED, ReadingStatus.WITHDRAWN, ReadingStatus.SUPERSEDED})
_PLAIN, _MARKED = b"\0", b"\1"


class Teller:
    """Writes into the `out` of every drop. One lock orders what the taking and the telling say under one name."""

    def __init__(self, parts: Parts, every: Store, folder: Path, stop: Event) -> None:
        """`every`: a store that sees all utilities; `parts.store` is of one utility at a time. After `stop` no other file is begun."""
        self.parts, self.every, self.folder, self.stop = parts, every, folder, stop
        self._lock = Lock()
        self._cursor = -1
        self._handled: dict[UUID, set[int]] = {}
        self._late: set[UUID] = set()
        self._place: tuple[int, str] = (0, "")
        self._swept = -SWEEP
        self._read: dict[int, float] = {}

    def profiles(self, utility: int) -> dict[str, Profile]:
        """The utility's rulebooks, not older than a few seconds."""
        now = time.monotonic()
        if utility not in self.parts.profiles or now - self._read.get(utility, -FRESH) >= FRESH:
            with self.parts.store.transaction(utility) as connection:
                self.parts.profiles[utility] = people.profiles(connection, utility)
            self._read[utility] = now
        return self.parts.profiles[utility]

    def language(self, utility: int) -> Language:
        """The language of a utility: that of its rulebooks when they agree, else the installation's."""
        languages = {profile.language for profile in self.profiles(utility).values()}
        return languages.pop() if len(languages) == 1 else self.parts.settings.language

    @staticmethod
    def mark(body: bytes) -> bytes:
        """What is kept of a first receipt: by its hash it is seen that there is nothing new to tell."""
        return _PLAIN + hashlib.sha256(body).digest()

    def first(self, drop: Drop, name: bytes, body: bytes) -> bool:
        """Tell the first word about a file; what was said about an earlier one of that name goes. False: `out` cannot be written."""
        try:
            with self._lock:
                folders.clear(drop, names.beside(name, names.PROBLEMS))
                folders.put(drop, names.beside(name, names.STATUS), body)
        except OSError as error:
            log.warning("drop.not_told", extra={"facts": {"name": names.stored(name), "why": str(error)}})
            return False
        return True

    def again(self, drop: Drop, credential: int, name: bytes, submission: UUID) -> bool:
        """Tell what has become of bytes that were met before."""
        with self.every.transaction() as connection:
            found = [
                owner
                for owner in drops.open_of(connection, [submission])
                if (owner.credential_id, owner.name) == (credential, names.stored(name))
            ]
        return all(self._tell(drop, owner) for owner in found)

    def round(self) -> None:
        """Tell what has happened since the last round; from time to time look at what may have changed without an event."""
        with self.every.transaction() as connection:
            if self._cursor < 0:
                self._cursor = events.newest(connection)
            cursor, moved = drops.moved(connection, self._cursor)
            new = {id_ for id_, those in moved.items() if those - self._handled.get(id_, set())} | self._late
            owners = drops.open_of(connection, new) if new else []
            if time.monotonic() - self._swept >= SWEEP:
                self._swept = time.monotonic()
                page = drops.open_after(connection, self._place, PAGE)
                self._place = (page[-1].credential_id, page[-1].name) if len(page) == PAGE else (0, "")
                owners += [owner for owner in page if owner.submission_id not in new]
        self._late = self._late_of(owners)
        self._cursor, self._handled = cursor, moved

    def _late_of(self, owners: Iterable[Owner]) -> set[UUID]:
        """Tell all of these; the submissions of those that could not be told."""
        late = set()
        for owner in owners:
            if self.stop.is_set():
                break
            try:
                with folders.opened(self.folder, owner.credential_id) as drop:
                    told = self._tell(drop, owner)
            except OSError as error:
                log.warning("drop.not_told", extra={"facts": {"name": owner.name, "why": str(error)}})
                told = False
            if not told:
                late.add(owner.submission_id)
        return late

    def _tell(self, drop: Drop, owner: Owner) -> bool:
        """Write the picture of now if it is another than the last; False when `out` cannot be written."""
        language = self.language(owner.utility_id)
        picture = status_of(self.parts, owner.sender, owner.submission_id, language, timeline=True)
        body = msgspec.json.encode(picture)
        translated = picture.status != SubmissionStatus.RECEIVED
        book = None
        if translated and (owner.told or _PLAIN)[:1] != _MARKED:
            book = self._book(owner, picture, language)
        mark = (_MARKED if translated else _PLAIN) + hashlib.sha256(body).digest()
        final = translated and all(row.status in FINAL for row in picture.readings)
        if mark == owner.told and not final:
            return True
        name = names.original(owner.name)
        try:
            with self._lock, self.every.transaction() as connection:
                if not drops.owns(connection, owner):
                    return True
                if book is not None:
                    folders.put(drop, names.beside(name, names.PROBLEMS), book)
                elif owner.told is None:
                    folders.clear(drop, names.beside(name, names.PROBLEMS))
                folders.put(drop, names.beside(name, names.STATUS), body)
                drops.told(connection, owner, mark, final=final)
        except OSError as error:
            log.warning("drop.not_told", extra={"facts": {"name": owner.name, "why": str(error)}})
            return False
        return True

    def _book(self, owner: Owner, picture: SubmissionDetail, language: Language) -> bytes | None:
        """The sender's own workbook with its problems marked in it, None when there are none or it is no workbook."""
        found = [*picture.problems, *(problem for row in picture.readings for problem in row.problems)]
        problems = [Problem(code=one.code, where=one.where, severity=Severity(one.severity), values=one.values) for one in found]
        if all(problem.severity is Severity.HINT for problem in problems):
            return None
        with self.parts.store.transaction(owner.utility_id) as connection:
            body = drops.body_of(connection, owner.utility_id, owner.submission_id)
        try:
            return marked(body, picture.file_name, problems, language, self.parts.settings.limits)
        except Rejected as refusal:
            log.warning("drop.not_marked", extra={"facts": {"name": owner.name, "why": str(refusal)}})
            return None
