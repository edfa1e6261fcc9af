"""B12: SOAP in, a message of 1,000 readings in process: gate, envelope, schema, domain readings; beside spyne doing the same."""

from functools import partial

from gateway.domain.readings import MeterReading
from gateway.inbound.soap import contract, rows
from gateway.inbound.soap.envelope import opened, version_of
from gateway.mapping import Envelope
from gateway.mapping.canonical_json import CanonicalJson
from gateway.mapping.markup import parse_untrusted
from gateway.settings import Limits
from tests.bench import ground
from tests.bench.peer_soap_in import READINGS, message, timed
from tests.bench.row import RUNS, Row, faster, limit, rounds

_LIMITS = Limits()
_FORMAT = CanonicalJson()


def ours(body: bytes) -> None:
    """What the channel does with a message before the door: the same functions, in the same order."""
    root = parse_untrusted(body, _LIMITS, size=_LIMITS.soap_bytes, forbid=("instruction",))
    operation = opened(root, version_of(root), "").operation
    contract.check(operation)
    found = list(_FORMAT.decode(rows.canonical(operation), Envelope(kind="canonical_json")))
    if len(found) != READINGS or not all(isinstance(one, MeterReading) for one in found):
        raise RuntimeError("not all were read")


def run() -> list[Row]:
    """Both sides in turn, spyne in the environment that has it."""
    body = message()
    contenders = {"ours": partial(timed, partial(ours, body))}
    child = None
    if ground.PEERS is not None:
        child = ground.Child([ground.PEERS, "-m", "tests.bench.peer_soap_in"])
        child.line()
        contenders["spyne"] = partial(_asked, child)
    rate = rounds(contenders, runs=2 * RUNS + 1)
    what = f"SOAP in, {READINGS:,} readings a message: gate, schema, domain readings"
    found = [limit("B12", what, 1e3 * READINGS / rate["ours"], unit="ms")]
    if child is not None:
        child.end()
        found.insert(0, faster("B12", what, rate["ours"], rate["spyne"], unit="readings/s", peer="spyne 2.14 (validator lxml)", goal=15))
    return found


def _asked(child: ground.Child) -> float:
    child.tell("go")
    return float(child.line())
