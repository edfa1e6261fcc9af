"""A SOAP billing that only reads a call, holds it against its schema, and answers each row: what is left of a call is its caller's work."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lxml import etree

from tests.bench.say import say
from tests.targets.old_program import WSDL

HOME = "{urn:accounting:billing}"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
[FOUND] = etree.parse(WSDL).iter("{http://www.w3.org/2001/XMLSchema}schema")
SCHEMA = etree.XMLSchema(etree.fromstring(etree.tostring(FOUND)))
ROW = "<Result><Number>{}</Number><Status>OK</Status><Document>BILL-{}</Document></Result>"


def answer(body: bytes) -> bytes:
    """Every row is taken."""
    asked = etree.fromstring(body, PARSER).find(f"{{{SOAP}}}Body/*")
    assert asked is not None
    SCHEMA.assertValid(asked)
    rows = "".join(ROW.format(one.text, place) for place, one in enumerate(asked.iter(f"{HOME}Number")))
    inside = f'<ImportReadingsResponse xmlns="{HOME[1:-1]}"><Results>{rows}</Results></ImportReadingsResponse>'
    return f'<e:Envelope xmlns:e="{SOAP}"><e:Body>{inside}</e:Body></e:Envelope>'.encode()


class Handler(BaseHTTPRequestHandler):
    """One call after another on a connection that stays."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call."""
        told = answer(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    say(f"listening on http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()
