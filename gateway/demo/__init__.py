"""What `make demo` runs: readings of five utilities go in, are billed by a sandbox in another process, and come back with a status each."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Final

import httpx
import msgspec

from gateway import profiles
from gateway.demo import billings
from gateway.demo.by_rest import Portal
from gateway.demo.by_sftp import Contractor
from gateway.demo.by_soap import Program
from gateway.demo.invented import UTILITIES, any_day, due_now, period_now
from gateway.demo.outcome import Story, billed_wrongly, refusals, summary
from gateway.demo.sendings import SENDINGS, SFTP, SOAP, Sending
from gateway.demo.stage import Failed, Json, Stage
from gateway.domain.profile import Profile, read_profile
from gateway.domain.windows import month, shift
from gateway.store import Store, feed, migrate, people

Sender = Portal | Contractor | Program

LOOK: Final = 0.1
"""Seconds between two looks at what is not finished."""
GOOD, BAD = 0, 1
LOGIN: Final = "teplo-service"
"""The contractor's login at the drop."""


def run(*, keep: bool = False, patience: float = 120.0) -> int:
    """Run the demo and print its table. Returns 0 when every good row was billed, 1 with what is missing and the logs' ends."""
    began = time.monotonic()
    rulebooks = {name: read_profile(body) for name, body in profiles.shipped().items() if name in UTILITIES}
    with _told_to_stop(), Stage(list(UTILITIES)) as stage:
        try:
            _stock(stage, rulebooks)
            stage.wait()
            with httpx.Client(base_url=stage.url, timeout=30.0, trust_env=False) as client:
                senders = [_sender(client, stage, sending, rulebooks[sending.utility]) for sending in SENDINGS]
                stories = _send(senders, rulebooks)
                _follow(senders, stories, stage, patience)
            journal = _journal(stage, stories)
            _print(stories, journal, time.monotonic() - began)
        except (Failed, httpx.HTTPError) as error:
            print(f"The demo failed: {error}\n{stage.tails()}", file=sys.stderr)
            return BAD
        if keep:
            _keep(stage)
    return GOOD


def _stock(stage: Stage, rulebooks: dict[str, Profile]) -> None:
    """Give every utility its rulebook, its meters, its partner's key and billing's."""
    migrate(stage.database)
    store = Store(stage.database, role="owner", pool=1)
    try:
        with store.transaction() as connection:
            for name, invent in UTILITIES.items():
                utility = people.ensure_utility(connection, name, rulebooks[name].title)
                people.ship(connection, utility, name, "metergate")
                people.save_document(connection, utility, "profile", name, any_day(profiles.shipped()[name]), "metergate")
                before = f"{shift(month(_period(rulebooks[name])), -1):%Y-%m}"
                day = due_now(rulebooks[name], datetime.now(UTC))
                feed.import_lines(connection, utility, name, [line for meter in invent() for line in meter.lines(before, day)])
                if any(sending.utility == name and sending.channel == SFTP for sending in SENDINGS):
                    people.add_login(connection, utility, "contractor", ["submit", "read"], LOGIN, password=stage.keys[name].partner)
                else:
                    people.add_credential(connection, utility, "portal", ["submit", "read"], key=stage.keys[name].partner)
                people.add_credential(connection, utility, "billing", ["settle"], key=stage.keys[name].settle)
    finally:
        store.close()


def _period(rulebook: Profile) -> str:
    """The period that is open where the utility is, on any date: the month's own if it can be."""
    return period_now(rulebook, datetime.now(UTC))


def _sender(client: httpx.Client, stage: Stage, sending: Sending, rulebook: Profile) -> Sender:
    key, period = stage.keys[sending.utility].partner, _period(rulebook)
    if sending.channel == SFTP:
        return Contractor(stage.drop, LOGIN, key, period, rulebook.zone)
    if sending.channel == SOAP:
        return Program(stage.url, key, rulebook.language, period)
    return Portal(client, key, rulebook.language, period)


def _send(senders: list[Sender], rulebooks: dict[str, Profile]) -> list[Story]:
    stories = []
    for sender, sending in zip(senders, SENDINGS, strict=True):
        meters = sending.of(UTILITIES[sending.utility]())
        sender.send(sending, meters)
        language, billing = rulebooks[sending.utility].language, billings.KINDS[sending.utility]
        story = Story(
            utility=sending.utility, format=sending.format, channel=sending.channel, billing=billing, language=language, meters=meters
        )
        stories.append(story)
    return stories


def _follow(senders: list[Sender], stories: list[Story], stage: Stage, patience: float) -> None:
    """Look, each sender in his own channel, until every good row is billed. Raises Failed with what is missing or was wrongly taken."""
    deadline = time.monotonic() + patience
    while True:
        for sender, story in zip(senders, stories, strict=True):
            if story.unfinished:
                story.submission = sender.look()
        if believed := [f"{story.utility} {row}" for story in stories for row in story.believed]:
            raise Failed(f"wrong rows were taken: {'; '.join(believed)}")
        missing = [f"{story.utility} {row}" for story in stories for row in story.unfinished]
        if not missing:
            return
        stage.check()
        if time.monotonic() > deadline:
            raise Failed(f"not billed within {patience:g} s: {'; '.join(missing)}")
        time.sleep(LOOK)


def _journal(stage: Stage, stories: list[Story]) -> list[Json]:
    """Every row that billing has ever judged. Raises Failed when its journal does not confirm each billed row exactly once."""
    headers = {"Authorization": f"Bearer {stage.control}"}
    answer = httpx.get(f"{stage.billing_url}/journal", headers=headers, trust_env=False).raise_for_status()
    rows: list[Json] = msgspec.json.decode(answer.content)["rows"]
    if wrong := billed_wrongly(stories, rows):
        raise Failed("; ".join(wrong))
    return rows


def _print(stories: list[Story], journal: list[Json], seconds: float) -> None:
    sent = sum(story.submission["counters"]["total"] for story in stories)
    billed = sum(row["status"] == "billed" for story in stories for row in story.submission["readings"])
    print("\n".join(summary(stories, journal)))
    print("\nNot accepted, as each sender is told:\n")
    print("\n".join(refusals(stories)))
    print(f"\n{sent} readings sent, {billed} billed once each, {sent - billed} not accepted, in {seconds:.1f} s.", flush=True)


def _keep(stage: Stage) -> None:
    """Say where it runs and with which keys, and wait for Ctrl-C."""
    print(f"\nRunning until Ctrl-C: API {stage.url}/docs, SOAP {stage.url}/soap?wsdl, billing {stage.billing_url}")
    print(f"The status page: {stage.page}")
    print(f"The drop: sftp://{stage.drop}, login {LOGIN}")
    for name, keys in stage.keys.items():
        print(f"  {name:16} {keys.partner}")
    sys.stdout.flush()
    while True:
        stage.check()
        time.sleep(1)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does, so that all it started is stopped."""

    def told(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, told)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
