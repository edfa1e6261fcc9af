"""What the sandbox billing knows: the keys it honours, the versions it has counted, and the settlements it still has to tell."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from hashlib import blake2b
from itertools import islice

import msgspec

from gateway.sandbox.config import Account, SandboxConfig
from gateway.sandbox.journal import Entry, Journal, Posted, Received, Record
from gateway.sandbox.wire import Batch, Item, Outcome, Result, Settlement, Stage

CALL = 500
"""Settlements in one call to an account's `settle_url`."""

Judge = Callable[[Item], Result | None]
"""Says why a row is refused or put off by order of the operator; None lets it be judged on its merits."""


class Told(msgspec.Struct, frozen=True):
    """A row taken and waiting for its settlement to be told."""

    entry: Entry
    taken: datetime


class Books:
    """The state of a running sandbox, rebuilt from its journal at each start. Two threads meet here: the door and an account's teller."""

    def __init__(self, config: SandboxConfig, journal: Journal) -> None:
        """Replay the journal."""
        self.config = config
        self.stirred = threading.Condition()
        self._journal = journal
        self._held: dict[tuple[str, str], tuple[bytes, Result]] = {}
        self._versions: dict[tuple[str, ...], int] = {}
        self._references = 0
        self._days: dict[tuple[str, ...], dict[tuple[str, str], Decimal]] = {}
        self._drops = {account.name for account in config.accounts if account.drop}
        self._files: dict[tuple[str, str], dict[str, Result]] = {}
        told = {account.name for account in config.accounts if account.settle_url}
        self._waiting: dict[tuple[str, Stage], deque[Told]] = {
            (name, stage): deque() for name in told for stage in ("calculated", "billed")
        }
        for record in journal.replay():
            self._apply(record)

    def take(self, account: Account, batch: Batch, judge: Judge) -> tuple[Result, ...]:
        """Judge every row, keep what is final on the disk, and return the word on each. Raises OSError when the disk says no."""
        with self.stirred:
            fresh: list[Entry] = []
            versions: dict[tuple[str, ...], int] = {}
            results = [self._word(account, item, judge, fresh, versions) for item in batch.items]
            if fresh:
                record = Received(account=account.name, batch=batch.batch, at=datetime.now(UTC), rows=tuple(fresh))
                self._journal.write(record)
                self._apply(record)
                self.stirred.notify_all()
        return tuple(results)

    def held(self, account: Account, key: str) -> Result | None:
        """The word once given on a key, if it was ever given one."""
        found = self._held.get((account.name, key))
        return found[1] if found else None

    def said(self, account: Account, file: str) -> Mapping[str, Result]:
        """The final words given on the rows of a file of an account's drop, by key."""
        return self._files.get((account.name, file), {})

    def due(self, account: Account) -> tuple[Stage, int, tuple[Settlement, ...]] | float:
        """The next call to make for an account: stage, rows in it, settlements; or the seconds until there may be one."""
        with self.stirred:
            return self._due(account)

    def _due(self, account: Account) -> tuple[Stage, int, tuple[Settlement, ...]] | float:
        now = datetime.now(UTC)
        wait = 3600.0
        for stage in ("calculated", "billed"):
            queue = self._waiting[account.name, stage]
            delay = timedelta(seconds=self.config.calculate_after + (self.config.bill_after if stage == "billed" else 0))
            words: list[Settlement] = []
            count = 0
            for told in islice(queue, CALL):
                more = self._settlements(account, told.entry, stage, now)
                if told.taken + delay > now or (words and len(words) + len(more) > CALL):
                    break
                words += more
                count += 1
            if words:
                return stage, count, tuple(words)
            if queue:
                wait = min(wait, (queue[0].taken + delay - now).total_seconds())
        return max(wait, 0.001)

    def told(self, account: Account, stage: Stage, count: int) -> None:
        """Remember that the account has been told. Raises OSError when the disk says no."""
        with self.stirred:
            record = Posted(account=account.name, stage=stage, count=count, at=datetime.now(UTC))
            self._journal.write(record)
            self._apply(record)

    def _word(self, account: Account, item: Item, judge: Judge, fresh: list[Entry], versions: dict[tuple[str, ...], int]) -> Result:
        digest = _digest(item)
        if account.keys and (known := self._held.get((account.name, item.key))):
            return known[1] if known[0] == digest else Result(key=item.key, outcome=Outcome.REFUSED, reason="key_reused")
        if result := judge(item) or _objection(account, item):
            if result.outcome is Outcome.REFUSED:
                fresh.append(Entry(item=item, result=result))
            return result
        reading = _reading(account.name, item)
        versions[reading] = versions.get(reading, self._versions.get(reading, 0)) + 1
        self._references += 1
        result = Result(key=item.key, outcome=Outcome.TAKEN, reference=f"BILL-{self._references:06}")
        fresh.append(Entry(item=item, result=result, version=versions[reading]))
        return result

    def _apply(self, record: Record) -> None:
        if isinstance(record, Posted):
            queue = self._waiting.get((record.account, record.stage))
            for _ in range(record.count if queue is not None else 0):
                row = self._waiting[record.account, record.stage].popleft()
                if record.stage == "calculated":
                    self._waiting[record.account, "billed"].append(row)
            return
        queue = self._waiting.get((record.account, "calculated"))
        if record.account in self._drops:
            self._files.setdefault((record.account, record.batch), {}).update({row.item.key: row.result for row in record.rows})
        for entry in record.rows:
            self._held[record.account, entry.item.key] = (_digest(entry.item), entry.result)
            if entry.result.outcome is not Outcome.TAKEN:
                continue
            self._versions[_reading(record.account, entry.item)] = entry.version
            if entry.item.day:
                days = self._days.setdefault(_reading(record.account, entry.item), {})
                days.update({(value.register, entry.item.day): value.volume() for value in entry.item.values})
            self._references = max(self._references, int(entry.result.reference.removeprefix("BILL-")))
            if queue is not None:
                queue.append(Told(entry, record.at))

    def _settlements(self, account: Account, entry: Entry, stage: Stage, now: datetime) -> list[Settlement]:
        """A settlement for each register: of a reading, or of all the days of its period that were taken so far."""
        item = entry.item
        volumes: dict[str, tuple[Decimal, str]] = {}
        days = self._days.get(_reading(account.name, item), {}) if item.day else {}
        for value in item.values:
            known = volumes.get(value.register, (Decimal(0), ""))[0]
            told = [amount for (register, _), amount in days.items() if register == value.register] if days else [value.volume()]
            volumes[value.register] = (sum(told, known), value.unit)
        return [
            Settlement(
                agreement=item.agreement,
                period=item.period,
                quantity=register,
                volume=format(volume, "f"),
                unit=unit,
                stage=stage,
                version=entry.version,
                point=item.meter if item.day else item.point,
                meter="" if item.day else item.meter,
                method="meter",
                reference=entry.result.reference,
                at=now,
                readings=(item.reading,) if not item.day or item.key.startswith("rdg_") else (),
                amount=format((volume * self.config.price).quantize(Decimal("0.01"), ROUND_HALF_EVEN), "f") if stage == "billed" else None,
            )
            for register, (volume, unit) in volumes.items()
        ]


def _reading(account: str, item: Item) -> tuple[str, ...]:
    return (account, item.agreement, item.point, item.meter, item.period)


def _digest(item: Item) -> bytes:
    return blake2b(msgspec.json.encode(item), digest_size=16).digest()


def _objection(account: Account, item: Item) -> Result | None:
    """The reasons this billing has of its own."""
    reason = ""
    if item.meter in account.refuse_meters:
        reason = "meter_refused"
    elif not item.agreement:
        reason = "agreement_missing"
    elif not item.values:
        reason = "no_values"
    elif any(value.consumption is not None and Decimal(value.consumption) < 0 for value in item.values):
        reason = "consumption_negative"
    return Result(key=item.key, outcome=Outcome.REFUSED, reason=reason) if reason else None
