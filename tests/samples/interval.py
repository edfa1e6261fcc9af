"""What makes the interval workbook say each of its codes: the samples of tests/formats, and what is refused apart from them."""

from collections.abc import Callable, Iterable

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.interval_workbook import IntervalWorkbook
from tests.formats import make_interval

Codes = Callable[[], Iterable[str]]


def sample(name: str) -> Codes:
    """The codes that a sample workbook gives."""

    def codes() -> Iterable[str]:
        try:
            things = list(IntervalWorkbook().decode(make_interval.SAMPLES[name](), make_interval.envelope(name)))
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return [problem.code for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]

    return codes


SAMPLES: dict[str, Codes] = {
    "channel_not_allowed": sample("delivered_rows.xlsx"),
    "date_invalid": sample("value_under_31_november.xlsx"),
    "date_out_of_period": sample("day_of_another_month.xlsx"),
    "date_repeated": sample("day_twice.xlsx"),
    "day_missing": sample("day_missing.xlsx"),
    "days_blank": sample("days_left_empty.xlsx"),
    "hour_absent": sample("kyiv_march_with_the_hour_that_was_not.xlsx"),
    "hour_invalid": sample("hour_24_00.xlsx"),
    "hour_missing": sample("hour_missing.xlsx"),
    "hour_repeated": sample("hour_twice.xlsx"),
    "hour_unordered": sample("hours_as_their_beginnings.xlsx"),
    "hours_not_found": sample("no_hours.xlsx"),
    "interval_negative": sample("wrong_cells.xlsx"),
    "meter_differs": sample("another_meter_in_a_cell.xlsx"),
    "meter_not_told": sample("no_meter.xlsx"),
    "period_differs": sample("another_month.xlsx"),
    "title_differs": sample("title_of_another_month.xlsx"),
}
