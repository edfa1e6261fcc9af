"""Telling partners in `out` what became of their files: `NAME.status.json`, rewritten whenever it changed, and what goes with it."""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Severity, Unavailable
from gateway.domain.profile import Profile
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.inbound.drop import folders, names, replying
from gateway.inbound.drop.folders import Drop
from gateway.inbound.parts import Parts, status_of
from gateway.inbound.views import SubmissionDetail
from gateway.mapping.marked_workbook import marked
from gateway.store import Store, drops, events, people, submissions
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
PATIENCE: Final = 600.0
"""The most seconds until something is tried again that could not be told; at first as many as `refresh` says, then ever longer."""
_HASH: Final = 32
"""Bytes of a mark that stand for the status; those behind them stand for the problems in the workbook, if there is one."""


class Late(msgspec.Struct, frozen=True):
    """A submission that is still to be told: how often that was tried in vain, and when it is tried again."""

    tried: int
    due: float


class Teller:
    """Writes into the `out` of every drop. One lock orders what the taking and the telling say under one name."""

    def __init__(self, parts: Parts, every: Store, folder: Path, stop: Event) -> None:
        """`every`: a store that sees all utilities; `parts.store` is of one utility at a time. After `stop` no other file is begun."""
        self.parts, self.every, self.folder, self.stop = parts, every, folder, stop
        self._lock = Lock()
        self._cursor = -1
        self._handled: dict[UUID, set[int]] = {}
        self._late: dict[UUID, Late] = {}
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
        return hashlib.sha256(body).digest()

    def first(self, drop: Drop, name: bytes, body: bytes) -> bool:
        """Tell the first word about a file; what was said about an earlier one of that name goes. False: `out` cannot be written."""
        try:
            with self._lock:
                folders.clear(drop, names.beside(name, names.PROBLEMS))
                folders.clear(drop, names.reply(name))
                folders.put(drop, names.beside(name, names.STATUS), body)
        except OSError as error:
            log.warning("drop.not_told", extra={"facts": {"file": names.hashed(name), "why": folders.why(error)}})
            return False
        return True

    def again(self, credential: int, name: bytes, submission: UUID) -> bool:
        """Tell what has become of bytes that were met before. False: that could not be told."""
        with self.every.transaction() as connection:
            found = [
                owner
                for owner in drops.open_of(connection, [submission])
                if (owner.credential_id, owner.name) == (credential, names.stored(name))
            ]
        return all(self._told(owner) for owner in found)

    def round(self) -> None:
        """Tell what has happened since the last round; from time to time look at what may have changed without an event.

        What cannot be told waits aside and holds up nothing else. Raises Unavailable when the database goes away.
        """
        now = time.monotonic()
        with self.every.transaction() as connection:
            if self._cursor < 0:
                self._cursor = events.newest(connection)
            cursor, moved = drops.moved(connection, self._cursor)
            new = {id_ for id_, those in moved.items() if those - self._handled.get(id_, set())}
            new |= {id_ for id_, late in self._late.items() if late.due <= now}
            owners = drops.open_of(connection, new) if new else []
            if now - self._swept >= SWEEP:
                self._swept = now
                page = drops.open_after(connection, self._place, PAGE)
                self._place = (page[-1].credential_id, page[-1].name) if len(page) == PAGE else (0, "")
                owners += [owner for owner in page if owner.submission_id not in new | self._late.keys()]
        self._cursor, self._handled = cursor, moved
        for owner in owners:
            self._late.setdefault(owner.submission_id, Late(0, now))
        for closed in new - {owner.submission_id for owner in owners}:
            self._late.pop(closed, None)
        self._tell_all(owners)

    def _tell_all(self, owners: Sequence[Owner]) -> None:
        """Tell all of these, who are in `_late` until they are told; those that have failed before come last."""
        by_submission: dict[UUID, list[Owner]] = {}
        for owner in sorted(owners, key=lambda owner: self._late[owner.submission_id].tried):
            by_submission.setdefault(owner.submission_id, []).append(owner)
        for submission, those in by_submission.items():
            if self.stop.is_set():
                return
            late, failed = self._late.pop(submission), those
            try:
                failed = [owner for owner in those if not self._told(owner)]
            finally:
                if failed:
                    wait = min(PATIENCE, self.parts.settings.sftp.refresh * 2 ** min(late.tried, 20))
                    self._late[submission] = Late(late.tried + 1, time.monotonic() + wait)

    def _told(self, owner: Owner) -> bool:
        """Tell one; False, and a line in the log, when that fails for a reason of its own. Raises Unavailable."""
        facts: dict[str, object] = {"credential": owner.credential_id, "submission": owner.submission_id}
        try:
            with folders.opened(self.folder, owner.credential_id) as drop:
                return self._tell(drop, owner)
        except Unavailable:
            raise
        except OSError as error:
            log.warning("drop.not_told", extra={"facts": facts | {"why": folders.why(error)}})
        except (Misconfigured, Rejected) as error:
            log.warning("drop.not_told", extra={"facts": facts | {"why": str(error)}})
        except Exception:
            log.exception("drop.not_told", extra={"facts": facts})
        return False

    def _tell(self, drop: Drop, owner: Owner) -> bool:
        """Write the picture of now if it is another than the last; False when the workbook has to be tried again. Raises OSError."""
        language = self.language(owner.utility_id)
        picture = status_of(self.parts, owner.sender, owner.submission_id, language, timeline=True)
        body = msgspec.json.encode(picture)
        translated = picture.status != SubmissionStatus.RECEIVED
        problems = _to_mark(picture) if translated else []
        wanted = _mark_of(problems, language) if problems else b""
        change = owner.told is None or owner.told[_HASH:] != wanted
        book, done = self._book(owner, picture.file_name, problems, language) if change and problems else (None, True)
        mark = self.mark(body) + (wanted if done else b"")
        final = done and translated and all(row.status in FINAL for row in picture.readings)
        if mark == owner.told and not final:
            return done
        reply = replying.reply(picture, self._body(owner), self.parts.settings.limits) if replying.is_answered(picture) else None
        name = names.original(owner.name)
        with self._lock, self.every.transaction() as connection:
            if not drops.owns(connection, owner):
                return True
            if book is not None:
                folders.put(drop, names.beside(name, names.PROBLEMS), book)
            elif change:
                folders.clear(drop, names.beside(name, names.PROBLEMS))
            if reply is not None:
                folders.put(drop, names.reply(name), reply)
            folders.put(drop, names.beside(name, names.STATUS), body)
            drops.told(connection, owner, mark, final=final)
        return done

    def _book(self, owner: Owner, file_name: str, problems: Sequence[Problem], language: Language) -> tuple[bytes | None, bool]:
        """The sender's own workbook with these problems marked in it, None when it is no workbook; and whether that is the last word."""
        body = self._body(owner)
        facts: dict[str, object] = {"credential": owner.credential_id, "submission": owner.submission_id}
        try:
            return marked(body, file_name, problems, language, self.parts.settings.limits), True
        except Rejected as refusal:
            log.warning("drop.not_marked", extra={"facts": facts | {"why": str(refusal)}})
            return None, True
        except Exception:  # the status is told all the same
            log.exception("drop.not_marked", extra={"facts": facts})
            return None, False

    def _body(self, owner: Owner) -> bytes:
        with self.parts.store.transaction(owner.utility_id) as connection:
            return submissions.body(connection, owner.utility_id, owner.submission_id) or b""


def _to_mark(picture: SubmissionDetail) -> list[Problem]:
    """What belongs into the workbook; nothing when there are but hints."""
    found = [*picture.problems, *(problem for row in picture.readings for problem in row.problems)]
    if all(one.severity == Severity.HINT for one in found):
        return []
    return [Problem(code=one.code, where=one.where, severity=Severity(one.severity), values=one.values) for one in found]


def _mark_of(problems: Sequence[Problem], language: Language) -> bytes:
    """What is kept of a workbook: the same problems in any order have the same mark."""
    each = sorted(msgspec.json.encode([one.where, one.code, one.severity, sorted(one.values.items())]) for one in problems)
    return hashlib.sha256(b"\n".join([language.encode("ascii"), *each])).digest()
