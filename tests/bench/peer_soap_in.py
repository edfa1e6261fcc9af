"""The message of B12, and spyne's server reading it, run by the interpreter that has spyne: a line of rate for each line it is sent."""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.bench.say import say

READINGS = 1_000
TIMES = 5
NS = "urn:metergate:soap:1"


def message() -> bytes:
    """A message of one register for each meter, the rows of B4, every field written; the same for both sides."""
    rows = "".join(
        f"<Reading><Meter>{21_730 + n:08}</Meter><Agreement>90034</Agreement><Point>{51_261 + n}</Point><Period>2026-11</Period>"
        f"<At>2026-11-20T10:00:00+02:00</At><Register><Code>A+</Code><Value>{1843.7 + n:.1f}</Value><Previous>1430.5</Previous>"
        f"<Quality>valid</Quality><RatioApplied>false</RatioApplied><LossesApplied>false</LossesApplied></Register></Reading>"
        for n in range(READINGS)
    )
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<SubmitReadings xmlns="{NS}">{rows}</SubmitReadings></e:Body></e:Envelope>'
    ).encode()


def timed(work: Callable[[], object]) -> float:
    """Readings a second of processor time, over a few messages: a busy machine takes from both sides alike."""
    began = time.process_time()
    for _ in range(TIMES):
        work()
    return TIMES * READINGS / (time.process_time() - began)


def application() -> Any:
    """spyne's server of the same shape, validating with lxml."""
    from spyne import Application, Boolean, ComplexModel, DateTime, Decimal, Integer, ServiceBase, Unicode, rpc  # type: ignore[import-not-found]
    from spyne.protocol.soap import Soap11  # type: ignore[import-not-found]
    from spyne.server.wsgi import WsgiApplication  # type: ignore[import-not-found]

    class Register(ComplexModel):  # type: ignore[misc]
        __namespace__ = NS
        _type_info = [  # noqa: RUF012 - spyne's way
            ("Code", Unicode(min_occurs=1)),
            ("Value", Decimal(min_occurs=1)),
            ("Previous", Decimal),
            ("Quality", Unicode),
            ("RatioApplied", Boolean),
            ("LossesApplied", Boolean),
        ]

    class Reading(ComplexModel):  # type: ignore[misc]
        __namespace__ = NS
        _type_info = [  # noqa: RUF012 - spyne's way
            ("Meter", Unicode(min_occurs=1)),
            ("Agreement", Unicode),
            ("Point", Unicode),
            ("Period", Unicode),
            ("At", DateTime),
            ("Register", Register.customize(min_occurs=1, max_occurs="unbounded")),
        ]

    def submit_readings(_: Any, readings: Any) -> int:
        return sum(1 for one in readings for _ in one.Register)

    call = rpc(
        Reading.customize(max_occurs="unbounded"),
        _returns=Integer,
        _in_variable_names={"readings": "Reading"},
        _operation_name="SubmitReadings",
    )
    service = type("Service", (ServiceBase,), {"submit_readings": call(submit_readings)})
    return WsgiApplication(Application([service], NS, in_protocol=Soap11(validator="lxml"), out_protocol=Soap11()))


def called(server: Any, body: bytes) -> None:
    """One call of the server, without HTTP."""
    said: list[str] = []
    told = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    told |= {"wsgi.url_scheme": "http", "CONTENT_TYPE": "text/xml; charset=utf-8", "CONTENT_LENGTH": str(len(body))}
    answer = b"".join(server({**told, "wsgi.input": io.BytesIO(body)}, lambda status, _: said.append(status)))
    if not said[0].startswith("200") or f">{READINGS}<".encode() not in answer:
        raise RuntimeError(answer[:400])


if __name__ == "__main__":
    server, body = application(), message()
    called(server, body)
    say("ready")
    for _ in sys.stdin:
        say(str(timed(lambda: called(server, body))))
