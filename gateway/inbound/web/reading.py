"""GET /readings/{id}: the trace of one reading, from the cell of a file to the volume on the bill."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.domain.readings import WHOLE, consumption
from gateway.domain.windows import Timing, open_periods, opening, period_end
from gateway.inbound import views
from gateway.inbound.views import ReadingView
from gateway.inbound.web.pages import pages_of
from gateway.inbound.web.speech import Speech
from gateway.inbound.web.waiting import sentence
from gateway.settings import Settings
from gateway.store import Connection, people, submissions, trace
from gateway.store.submissions import Submission
from gateway.store.trace import Attempt, Delivery, Home, Listed, Measured, Version, Waiting

_OPEN: Final = ("queued", "sent", "in_doubt")


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One call to billing as it is shown. `answer`: what billing said, shortened, as text; empty when it said nothing."""

    batch: str
    items: int
    sent: datetime | None
    finished: datetime | None
    outcome: str
    tone: str
    problem: str
    answer: str
    cut: int


@get("/readings/{reading:str}", sync_to_thread=True)
def one(request: Request[Any, Any, Any], reading: FromPath[str]) -> Response[str]:
    """The whole way of one reading."""
    pages, id_ = pages_of(request), _id(reading)
    with pages.reading() as connection:
        home = trace.home(connection, id_)
        if home is None:
            raise Rejected(Problem(code="not_found"))
        found = trace.found(connection, home.submission_id)
        rows = [row for row in submissions.rows(connection, home.submission_id) if row.id == id_]
        if found is None or not rows:
            raise Rejected(Problem(code="not_found"))
        [row], subject = rows, home.same_as or home.id
        profiles = pages.profiles(connection, found.utility_id)
        measured = trace.measured(connection, id_)
        deliveries, attempts = trace.deliveries(connection, subject), trace.attempts(connection, subject)
        words, versions = trace.words(connection, home, row.period), trace.versions(connection, home, row.period)
        moments = trace.moments(connection, id_)
        waiting = trace.waiting(connection, subject) if row.status in _OPEN else None
        profile = profiles.get(row.profile)
        timing = None if profile is None else _timing(connection, profile, found.utility_id, home)
    speech = pages.speech(request, profiles)
    [view] = views.detail(found.submission, [row], [], speech.language, profiles).readings
    return pages.answer(
        request,
        "reading",
        speech,
        found=found,
        home=home,
        view=view,
        profile=row.profile,
        measured=measured,
        formula=lambda value: formula(value, home, speech),
        period=_period(view, found.submission, timing, speech),
        at=_at(view, found.submission, profile, speech),
        deliveries=deliveries,
        tries=[_try(attempt, speech) for attempt in attempts],
        why=_why(waiting, deliveries, pages.settings, found, speech),
        now=datetime.now(UTC),
        words=words,
        versions=versions,
        corrects=_neighbour(versions, home, -1),
        corrected=_neighbour(versions, home, +1) if view.status == "superseded" else None,
        moments=moments,
    )


def _why(waiting: Waiting | None, deliveries: list[Delivery], settings: Settings, found: Listed, speech: Speech) -> str:
    """Why the reading is not sent yet; empty when it is not waiting. A connection that the settings lack comes before all else."""
    if waiting is None:
        return ""
    target = deliveries[0].target if deliveries else ""
    if any(settings.targets.values()) and target not in settings.targets.get(found.code, {}):
        return speech.say("why_unknown", target=target)
    return sentence(waiting, speech)


def _id(text: str) -> UUID:
    try:
        return UUID(hex=text.removeprefix("rdg_"))
    except ValueError:
        raise Rejected(Problem(code="not_found")) from None


def formula(value: Measured, home: Home, speech: Speech) -> str:
    """How the consumption comes from the two readings (legal-entity manual, figure 12), empty where it is no such product."""
    if value.previous is None or value.consumption is None or value.volume:
        return ""
    ratio = Decimal(1) if value.ratio_applied or home.ratio is None else home.ratio
    losses = Decimal(0) if value.losses_applied or home.losses is None else home.losses
    constant = home.constant or Decimal(0) if value.code == WHOLE and not value.losses_applied else Decimal(0)
    if (ratio == 1 and not losses and not constant) or (
        consumption(value.value, value.previous, ratio, losses, constant) != value.consumption
    ):
        return ""
    factors = [f"({speech.number(value.value)} − {speech.number(value.previous)})"]
    factors += [speech.number(ratio)] if ratio != 1 else []
    factors += [f"(1 {'−' if losses < 0 else '+'} {speech.percent(abs(losses))})"] if losses else []
    added = f" {'−' if constant < 0 else '+'} {speech.number(abs(constant))}" if constant else ""
    return " × ".join(factors) + added


def _timing(connection: Connection, profile: Profile, utility: int, home: Home) -> Timing:
    """When readings of this meter are taken."""
    calendar = people.calendar_of(people.calendars(connection, utility), profile)
    return profile.timing(home.service or "", home.window_day, calendar)


def _period(view: ReadingView, submission: Submission, timing: Timing | None, speech: Speech) -> str:
    """Why the reading counts for its period, as far as the window of its utility tells."""
    if timing is None or not view.period:
        return ""
    try:
        window = opening(timing, view.period)
    except ValueError:
        return ""
    told = {"period": view.period, "opens": speech.day(window.first), "closes": speech.day(window.last)}
    open_then = open_periods(timing, submission.received_at)
    if view.period not in open_then:
        return speech.say("period_closed", **told)
    if submission.envelope.get("period") == view.period:
        return speech.say("period_told", **told)
    return speech.say("period_only" if len(open_then) == 1 else "period_one_of", **told, periods=", ".join(open_then))


def _at(view: ReadingView, submission: Submission, profile: Profile | None, speech: Speech) -> str:
    """Where the instant of the reading comes from."""
    if view.at is None or profile is None:
        return ""
    if view.at == submission.received_at:
        return speech.say("at_arrival")
    try:
        ends = period_end(view.period, profile.zone) if view.period else None
    except ValueError:
        ends = None
    return speech.say("at_period_end" if view.at == ends else "at_told")


def _try(attempt: Attempt, speech: Speech) -> Try:
    text = attempt.answer.decode("utf-8", "replace")
    outcome = attempt.outcome or ("sending" if attempt.phase else "claimed")
    return Try(
        batch=str(attempt.batch),
        items=attempt.items,
        sent=attempt.sent_at,
        finished=attempt.finished_at,
        outcome=speech.word(f"attempt.{outcome}"),
        tone={"taken": "good", "refused": "bad", "dead": "bad"}.get(outcome, "wait"),
        problem=speech.problem(attempt.problem) if attempt.problem else "",
        answer="".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text),
        cut=attempt.answered - len(attempt.answer),
    )


def _neighbour(versions: list[Version], home: Home, step: int) -> Version | None:
    """The reading that this one corrects (-1), or the one that corrects it (+1)."""
    places = [place for place, version in enumerate(versions) if version.id == home.id]
    place = places[0] + step if places else -1
    return versions[place] if 0 <= place < len(versions) else None
