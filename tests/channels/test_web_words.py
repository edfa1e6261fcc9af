"""How the status page says things: why a reading waits, numbers and times of three languages, and many moves as one line."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway import profiles, texts
from gateway.domain.profile import read_profile
from gateway.inbound.views import HappeningView
from gateway.inbound.web.pages import tone_of_submission
from gateway.inbound.web.speech import Speech
from gateway.inbound.web.submission import grouped
from gateway.inbound.web.waiting import sentence
from gateway.store.ledger import DELAYED, PARKED, READY
from gateway.store.trace import Waiting
from gateway.texts import LANGUAGES, Language

NOW = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def waiting(**more: Any) -> Waiting:
    told: dict[str, Any] = {
        "now": NOW,
        "paused": None,
        "breaker_until": None,
        "next_call_at": NOW,
        "lane_state": READY,
        "due": NOW,
        "phase": None,
        "is_head": True,
        "tries": 0,
        "problem": None,
        "head_problem": None,
        "ahead_in_lane": 0,
        "ahead_about": 1,
    }
    return Waiting(**(told | more))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "why_soon"),
        ({"ahead_about": 18}, "why_queue"),
        ({"next_call_at": LATER, "ahead_about": 18}, "why_pace"),
        ({"lane_state": DELAYED, "due": LATER, "problem": "billing_unavailable", "next_call_at": LATER}, "why_later"),
        ({"lane_state": DELAYED, "due": NOW}, "why_soon"),
        ({"is_head": False, "ahead_in_lane": 2, "lane_state": DELAYED, "due": LATER}, "why_behind"),
        ({"lane_state": PARKED, "problem": "in_doubt"}, "why_parked"),
        ({"lane_state": PARKED, "is_head": False, "ahead_in_lane": 1}, "why_parked_before"),
        ({"breaker_until": LATER, "lane_state": DELAYED, "due": LATER}, "why_breaker"),
        ({"breaker_until": NOW}, "why_soon"),
        ({"paused": "month close", "breaker_until": LATER}, "why_paused"),
        ({"phase": 0, "paused": "month close"}, "why_claimed"),
        ({"phase": 1, "tries": 3}, "why_sending"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_true_reason_is_the_sentence(language: Language, more: dict[str, Any], word: str) -> None:
    said = sentence(waiting(**more), Speech(language, "Europe/Kyiv"))
    assert said.startswith(texts.book(language)["page"][word].partition("{")[0])
    assert "{" not in said
    assert "…" not in said


def test_the_next_attempt_is_told_by_the_clock_of_the_utility() -> None:
    delayed = waiting(lane_state=DELAYED, due=LATER, problem="billing_unavailable")
    assert sentence(delayed, Speech("ru", "Asia/Irkutsk")) == (
        "Прошлая попытка не удалась (Биллинг сейчас не отвечает, показание ждёт отправки); следующая 26.11.2026 09:07:03."
    )


@pytest.mark.parametrize(
    ("language", "number", "day", "instant"),
    [
        ("ru", "−124\u202f530,48", "26.11.2026", "26.11.2026 06:32:03"),
        ("uk", "−124\u202f530,48", "26.11.2026", "26.11.2026 06:32:03"),
        ("en", "−124,530.48", "26 Nov 2026", "26 Nov 2026, 06:32:03"),
    ],
)
def test_numbers_and_times_are_written_as_the_language_writes_them(language: Language, number: str, day: str, instant: str) -> None:
    speech = Speech(language, "Asia/Kolkata")
    assert speech.number(Decimal("-124530.48")) == number
    assert speech.number(Decimal("1E+3")).replace("\u202f", ",") == "1,000"
    assert speech.day(date(2026, 11, 26)) == day
    assert (speech.when(NOW), speech.offset(NOW), speech.clock(NOW)) == (instant, "UTC+5:30", "2026-11-26T01:02:03Z")
    assert Speech(language, "America/St_Johns").offset(NOW) == "UTC−3:30"
    assert Speech(language, "UTC").offset(NOW) == "UTC"


def test_a_utility_speaks_in_its_own_words_and_others_in_ours() -> None:
    heat = read_profile(profiles.shipped()["contractor_heat"])
    assert Speech("ru", "UTC", {"contractor_heat": heat}).word("status.sent") == "Загружено"
    assert Speech("ru", "UTC", {"contractor_heat": heat}).ours("status.sent") == "Отправлено в биллинг"
    assert Speech("en", "UTC", {"contractor_heat": heat}).word("status.sent") == "Sent to billing"
    assert Speech("en", "UTC").word("format.of_next_year") == "of_next_year"
    assert Speech("en", "UTC").problem("answer_lost") == "Billing's answer was lost"
    assert Speech("en", "UTC").problem("never_heard_of") == "never_heard_of"


def test_many_that_move_together_are_one_line() -> None:
    def line(id_: str, to: str, second: float) -> HappeningView:
        at = NOW + timedelta(seconds=second)
        return HappeningView(at=at, entity="meter_reading", id=id_, from_="queued", to=to, actor="target:1", reason="")

    lines = [line("a", "sent", 0.1), line("b", "sent", 0.9), line("a", "acknowledged", 0.95), line("b", "acknowledged", 1.2)]
    assert [(one.line.to, one.count) for one in grouped(lines)] == [("sent", 2), ("acknowledged", 1), ("acknowledged", 1)]


@pytest.mark.parametrize(
    ("status", "counted", "tone"),
    [
        ("received", {}, "wait"),
        ("accepted", {"queued": 40}, "wait"),
        ("accepted", {"billed": 39, "queued": 1}, "wait"),
        ("accepted", {"billed": 39, "superseded": 1}, "good"),
        ("accepted", {"billed": 39, "rejected": 1}, "wait"),
        ("accepted", {"rejected": 40}, "bad"),
        ("accepted", {}, "good"),
        ("partly_accepted", {"billed": 39, "rejected": 1}, "wait"),
        ("rejected", {"rejected": 1}, "bad"),
    ],
)
def test_green_means_that_nothing_waits(status: str, counted: dict[str, int], tone: str) -> None:
    assert tone_of_submission(status, counted) == tone
