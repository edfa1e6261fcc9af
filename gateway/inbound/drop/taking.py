"""Taking what partners have put into `in`: seen whole, kept in the database, told in `out`, removed; it may die at any point."""

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from gateway import pipeline
from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.inbound import arriving, views
from gateway.inbound.drop import folders, names
from gateway.inbound.drop.folders import Drop, State
from gateway.inbound.drop.telling import Teller
from gateway.inbound.drop.unfinished import forget
from gateway.inbound.drop.watch import Watch
from gateway.inbound.drop.whole import missing
from gateway.inbound.parts import Parts
from gateway.inbound.views import SubmissionDetail
from gateway.mapping import Envelope
from gateway.pipeline import Outcome, Post, Repeated, Replayed, Taken, new_entry
from gateway.steps import step
from gateway.store import Store, drops
from gateway.store.intake import Entry
from gateway.store.people import Sender
from gateway.texts import Language

log = logging.getLogger("metergate")

TOGETHER: Final = 64
"""Files of one partner that are taken before the next partner's turn, in one transaction."""
TOGETHER_BYTES: Final = 8 * 1024 * 1024
STUCK: Final = 60.0
"""Seconds until a file is tried again that broke the taking itself."""
GIVEN_UP: Final = 7
"""What is in the making is removed after that many times as long as a file without its end is waited for."""
LOOKS: Final = 24
"""How often in that time of waiting such files are looked for."""


class _Named(msgspec.Struct):
    submission: str


_named: Final = msgspec.json.Decoder(_Named)


class Arrived(msgspec.Struct, frozen=True):
    """A file that was read whole: its name, its state, its bytes."""

    name: bytes
    state: State
    body: bytes


class Kept(msgspec.Struct, frozen=True):
    """A file whose submission is committed. `receipt`: what is told of a new one, None for bytes that were met before."""

    file: Arrived
    submission: UUID
    receipt: bytes | None


class Taker:
    """Goes round the drops of all partners, a turn for each."""

    def __init__(self, parts: Parts, every: Store, folder: Path, teller: Teller) -> None:
        """`every`: a store that sees all utilities; `parts.store` is of one utility at a time."""
        self.parts, self.every, self.folder, self.teller = parts, every, folder, teller
        self.settings = parts.settings.sftp
        self._watches: dict[int, Watch] = {}
        self._tidied = -math.inf

    def round(self) -> float:
        """Give each partner its turn and return how many seconds may pass until the next round. Raises Unavailable."""
        with self.every.transaction() as connection:
            partners = drops.partners(connection)
        for gone in self._watches.keys() - partners.keys():
            del self._watches[gone]
        tidy = time.monotonic() - self._tidied >= self.settings.incomplete_after / LOOKS
        if tidy:
            self._tidied = time.monotonic()
        wait = self.settings.scan
        for credential, sender in partners.items():
            if "submit" not in sender.scopes or self.teller.stop.is_set():
                continue
            watch = self._watches.setdefault(credential, Watch(self.settings.stable, self.settings.scan))
            try:
                with folders.opened(self.folder, credential) as drop:
                    self._turn(sender, drop, watch)
                    gone = forget(drop, GIVEN_UP * self.settings.incomplete_after) if tidy else 0
                    if gone:
                        log.warning("drop.given_up", extra={"facts": {"credential": credential, "files": gone}})
            except Exception as error:
                del self._watches[credential]  # what it was about to do is found again
                if isinstance(error, Unavailable):
                    raise
                _out_of_order(credential, error)
            due = watch.due()
            if due is not None:
                wait = min(wait, max(0.0, due - time.monotonic()))
        return wait

    def _turn(self, sender: Sender, drop: Drop, watch: Watch) -> None:
        ready = watch.ready(drop.inbox, time.monotonic(), TOGETHER)
        while ready:
            arrived, size = [], 0
            step("drop.seen", files=len(ready))
            while ready and size < TOGETHER_BYTES:
                name, state = ready.pop(0)
                file = self._read(drop, watch, name, state)
                if file is not None:
                    arrived.append(file)
                    size += len(file.body)
            step("drop.read", files=len(arrived))
            good = [file for file in arrived if self._good(sender, drop, watch, file)]
            for kept in self._receive(sender, watch, good):
                self._answer(sender, drop, watch, kept)
            if self.teller.stop.is_set():
                return

    def _read(self, drop: Drop, watch: Watch, name: bytes, state: State) -> Arrived | None:
        """A file's bytes, None when it has changed, is being written to or has vanished meanwhile."""
        try:
            now, body = folders.read(drop.inbox, name, self.parts.settings.limits.file_bytes)
        except FileNotFoundError:
            watch.gone(name)
            return None
        except OSError as error:
            log.warning("drop.unreadable", extra={"facts": {"file": names.hashed(name), "why": folders.why(error)}})
            watch.again(name, time.monotonic())
            return None
        if body is None or now != state:
            watch.again(name, time.monotonic(), self.settings.stable or self.settings.scan)
            return None
        return Arrived(name, now, body)

    def _good(self, sender: Sender, drop: Drop, watch: Watch, file: Arrived) -> bool:
        """Whether a file goes to the line; one that the door refuses is told so and removed, one that is not whole waits for its end."""
        problem = missing(file.body) if len(file.body) <= self.parts.settings.limits.file_bytes else None
        if problem is not None:
            waiting, now = watch.files[file.name], time.monotonic()
            left = self.settings.incomplete_after - (time.time_ns() - file.state.changed) / 1e9
            if left <= 0 and not waiting.told:
                waiting.told = self._refuse(sender, drop, file, (problem,))
            waiting.held = math.inf if waiting.told else now + left
            watch.again(file.name, now)
            return False
        try:
            arriving.look(file.body, self.parts.settings.limits)
        except Rejected as refusal:
            if self._refuse(sender, drop, file, refusal.problems):
                self._remove(drop, watch, file)
            else:
                watch.again(file.name, time.monotonic())
            return False
        return True

    def _refuse(self, sender: Sender, drop: Drop, file: Arrived, problems: tuple[Problem, ...]) -> bool:
        """Tell what is wrong with a file that makes no submission. False: it could not be told."""
        entry, language = self._entry(sender, file), self.teller.language(sender.utility_id)
        entry.problems = problems
        whole = len(file.body) <= self.parts.settings.limits.file_bytes
        picture = msgspec.structs.replace(self._picture(entry, language), submission="", **({} if whole else {"sha256": ""}))
        with self.every.transaction() as connection:
            drops.disown(connection, sender.credential_id, [names.stored(file.name)])
        return self.teller.first(drop, file.name, msgspec.json.encode(picture))

    def _entry(self, sender: Sender, file: Arrived) -> Entry:
        """The entry of a file. Its key names this very file: after a crash the same file finds the answer it was given."""
        profiles = self.teller.profiles(sender.utility_id)
        zone = arriving.zone_of(profiles, self.parts.settings.zone)
        facts = msgspec.json.encode([names.stored(file.name), *msgspec.structs.astuple(file.state)])
        key = hashlib.sha256(facts + hashlib.sha256(file.body).digest()).hexdigest()
        return new_entry(sender, Envelope(zone=zone, file_name=names.shown(file.name)), file.body, channel="sftp", key=f"drop-{key}")

    def _picture(self, entry: Entry, language: Language) -> SubmissionDetail:
        return views.receipt(entry, language, self.teller.profiles(entry.sender.utility_id))

    def _receive(self, sender: Sender, watch: Watch, files: list[Arrived]) -> list[Kept]:
        """Hand files to the line, all in one transaction; if that fails for a reason of one's own content, each alone."""
        if not files:
            return []
        language = self.teller.language(sender.utility_id)
        posts = [
            Post(entry=self._entry(sender, file), found=[], say=lambda entry: msgspec.json.encode(self._picture(entry, language)))
            for file in files
        ]
        try:
            outcomes = pipeline.receive(self.parts.store, posts, translated=False)
        except Unavailable:
            for file in files:
                watch.again(file.name, time.monotonic())
            raise
        except Exception:
            if len(files) > 1:
                return [kept for file in files for kept in self._receive(sender, watch, [file])]
            log.exception("drop.stuck", extra={"facts": {"credential": sender.credential_id, "file": names.hashed(files[0].name)}})
            watch.again(files[0].name, time.monotonic(), STUCK)
            return []
        kept = list(_kept(files, outcomes))
        for name in {file.name for file in files} - {one.file.name for one in kept}:
            watch.again(name, time.monotonic())
        self._own(sender, kept)
        step("drop.kept", files=len(kept))
        return kept

    def _own(self, sender: Sender, kept: list[Kept]) -> None:
        """Write down which submission owns which name; what was said before under the name ends with it."""
        rows = [(names.stored(one.file.name), one.submission, one.receipt and self.teller.mark(one.receipt)) for one in kept]
        if rows:
            self.every.insist(lambda connection: drops.keep(connection, sender.utility_id, sender.credential_id, rows))

    def _answer(self, sender: Sender, drop: Drop, watch: Watch, kept: Kept) -> None:
        """Tell and remove; what cannot be told stays, and is told later by whoever comes past it first."""
        file = kept.file
        if kept.receipt is None:
            said = self.teller.again(sender.credential_id, file.name, kept.submission)
        else:
            said = self.teller.first(drop, file.name, kept.receipt)
        if not said:
            watch.again(file.name, time.monotonic())
            return
        step("drop.told", submission=kept.submission)
        self._remove(drop, watch, file)
        step("drop.removed", submission=kept.submission)

    def _remove(self, drop: Drop, watch: Watch, file: Arrived) -> None:
        if folders.take_away(drop, file.name, file.state):
            watch.gone(file.name)
        else:
            watch.again(file.name, time.monotonic(), self.settings.stable)


def _out_of_order(credential: int, error: Exception) -> None:
    """One partner's drop has failed: say why, and the others have their turn."""
    facts: dict[str, object] = {"credential": credential}
    match error:
        case OSError():
            log.warning("drop.out_of_order", extra={"facts": facts | {"why": folders.why(error)}})
        case Misconfigured() | Rejected():
            log.warning("drop.out_of_order", extra={"facts": facts | {"why": str(error)}})
        case _:
            log.error("drop.out_of_order", exc_info=error, extra={"facts": facts})


def _kept(files: list[Arrived], outcomes: list[Outcome]) -> Iterator[Kept]:
    """What came of each file; one whose sender has lost the right meanwhile is left where it lies."""
    for file, outcome in zip(files, outcomes, strict=True):
        match outcome:
            case Taken(submission=id_, answer=said):
                yield Kept(file, id_, said)
            case Repeated(submission=id_):
                yield Kept(file, id_, None)
            case Replayed(answer=said):
                yield Kept(file, UUID(hex=_named.decode(said).submission.removeprefix("sub_")), None)
            case _:
                log.warning("drop.not_taken", extra={"facts": {"file": names.hashed(file.name), "why": str(outcome)}})
