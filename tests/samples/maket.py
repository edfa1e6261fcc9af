"""What makes the maket 80020 say each of its codes: the samples of tests/formats."""

from collections.abc import Callable, Iterable

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import maket_80021
from gateway.mapping.maket_80020 import Maket80020
from gateway.settings import Limits
from tests.formats import make_maket

Codes = Callable[[], Iterable[str]]


def sample(name: str) -> Codes:
    """The codes that a sample gives."""

    def codes() -> Iterable[str]:
        try:
            things = list(Maket80020().decode(make_maket.SAMPLES[name](), make_maket.envelope(name)))
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return [problem.code for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]

    return codes


def reply() -> Iterable[str]:
    """What an answer without its figure is."""
    try:
        maket_80021.read(b'<message class="80021"><reply status="5"/></message>', "UTC", Limits())
    except Rejected as refused:
        return [problem.code for problem in refused.problems]
    return []


SAMPLES: dict[str, Codes] = {
    "maket_channel_unknown": sample("several_channels.xml"),
    "maket_class_unknown": sample("class_80030.xml"),
    "maket_day_invalid": sample("no_such_day.xml"),
    "maket_misplaced": sample("point_outside.xml"),
    "maket_noncommercial": sample("statuses.xml"),
    "maket_period_invalid": sample("wrong_periods.xml"),
    "maket_period_unordered": sample("wrong_periods.xml"),
    "maket_reply_invalid": reply,
    "maket_status_unknown": sample("statuses.xml"),
    "maket_test_only": sample("test_only.xml"),
    "maket_value_missing": sample("wrong_periods.xml"),
}
