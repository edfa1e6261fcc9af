"""The program of the child: it does one task with one dangerous file at a time, by the task's name."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import child, open_document, page_tables, workbook
from gateway.mapping.marking import mark
from gateway.settings import Limits

TASKS: Final[dict[str, Callable[[bytes, Limits], Any]]] = {
    "xlsx": lambda body, limits: workbook.read(body, limits, is_zip=True),
    "xls": lambda body, limits: workbook.read(body, limits, is_zip=False),
    "ods": open_document.read,
    "html": page_tables.read_page,
    "xml": page_tables.read_xml,
    "explain": workbook.explain,
    "mark": mark,
}


def serve() -> None:
    """Answer requests until the parent has gone, or until something was met after which this process cannot be trusted."""
    while (request := child.receive()) is not None:
        task, limits, body = request
        del request
        child.obey(limits)
        try:
            child.reply(child.Done(msgspec.Raw(msgspec.msgpack.encode(TASKS[task](body, limits))), child.peak()))
        except Rejected as refused:
            child.reply(child.Refusal(refused.problems, child.peak()))
        except BaseException as error:  # noqa: BLE001 - a panic of the reader is no Exception
            code = "file_too_costly" if isinstance(error, MemoryError) else "xlsx_structure"
            child.reply(child.Refusal((Problem(code=code, values={"reason": type(error).__name__}),), child.peak(), leaving=True))
            return


if __name__ == "__main__":
    serve()
