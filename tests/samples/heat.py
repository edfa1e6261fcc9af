"""What makes archives and reports of heat meters and delimited texts say each of their codes."""

from collections.abc import Callable, Iterable

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import Envelope
from gateway.mapping.heat_report import HeatReport
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.formats import make_report

HEAD = "Прибор;Ввод;Вид;Дата;Время;Q, Гкал;t1;Ошибки"
DAY = "7;;сутки;01.10.2026;;1,5;70;"


def text(*lines: str, head: str = HEAD, zone: str = "Asia/Irkutsk", limits: Limits | None = None) -> Callable[[], Iterable[str]]:
    """The codes that a text of these lines says."""
    return body("\n".join([head, *lines, ""]).encode(), zone, limits)


def body(given: bytes, zone: str = "Asia/Irkutsk", limits: Limits | None = None) -> Callable[[], Iterable[str]]:
    """The codes that these bytes say."""

    def codes() -> list[str]:
        try:
            things = list(Mapped(mapping=shipped("heat_archive"), limits=limits or Limits()).decode(given, Envelope(zone=zone)))
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return [problem.code for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]

    return codes


def report(name: str) -> Callable[[], Iterable[str]]:
    """The codes that a sample of the report in XML says."""

    def codes() -> list[str]:
        things = HeatReport().decode(make_report.SAMPLES[name](), make_report.envelope(name))
        return [problem.code for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]

    return codes


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "archive_gap": text(DAY, "7;;сутки;04.10.2026;;1,5;70;"),
    "archive_kind_unknown": text("7;;декада;01.10.2026;;1,5;70;"),
    "archive_step_unknown": text("7;;;01.10.2026;;1,5;70;"),
    "circuit_unknown": text("7;7;сутки;01.10.2026;;1,5;70;"),
    "column_repeated": text(DAY, head=HEAD.replace("t1", "Q, ГДж")),
    "column_unknown": text(DAY, head=HEAD.replace("t1", "dM")),
    "csv_structure": text(DAY, '7;;сутки;02.10.2026;;"1,5;70;'),
    "csv_too_large": text(DAY, DAY, limits=Limits(sheet_rows=1)),
    "encoding_unknown": body(f"{HEAD}\n{DAY}\nй".encode("utf-8-sig") + b"\xff"),
    "fault_unknown": text(f"{DAY}Z"),
    "hour_labels_unclear": text("7;;час;01.10.2026;08:00;1,5;70;", "7;;час;01.10.2026;09:00;1,5;70;"),
    "hour_nonexistent": text("7;;час;29.03.2026;00:00;1,5;70;", "7;;час;29.03.2026;03:00;1,5;70;", zone="Europe/Kyiv"),
    "meter_missing": text(DAY, ";;сутки;01.10.2026;;1,5;70;"),
    "moment_invalid": text("7;;сутки;31.11.2026;;1,5;70;"),
    "moment_repeated": text(DAY, DAY),
    "report_pair_invalid": report("several_wrong.xml"),
    "unit_assumed": text(DAY, head=HEAD.replace("Q, Гкал", "Q")),
    "unit_unknown": text(DAY, head=HEAD.replace("Гкал", "калории")),
}
