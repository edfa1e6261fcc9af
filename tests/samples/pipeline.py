"""What makes the line say the codes of a delivery: what an attempt came to, weighed by its verdicts."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Answer, Item, Outcome, Receipt, Value
from gateway.pipeline.verdicts import Going, Patience, failed, judged
from gateway.settings import Worker
from gateway.store.claims import Claimed

PATIENCE = Patience.of(Worker())
VALUE = Value(register="A+", value=Decimal(150), unit="kWh", previous=Decimal(100), consumption=Decimal(50))
AT = datetime(2022, 10, 25, tzinfo=UTC)
ITEM = Item(key="rdg_1", agreement="A-1", point="1", meter="1", period="2022-10", at=AT, revision=0, values=(VALUE,))


def going(age: float = 0.0) -> Going:
    """One delivery on its way, queued so many seconds ago."""
    return [(Claimed(UUID(int=1), 1, UUID(int=2), 1, timedelta(seconds=age)), ITEM)]


def answered(outcome: Outcome) -> Iterable[str]:
    """The codes of what billing answers."""
    receipt = Receipt(answers=(Answer(key="rdg_1", outcome=outcome, reason="closed"),))
    verdicts, objections = judged(going(), receipt, "A", PATIENCE)
    return [verdict.problem or "" for verdict in verdicts] + [problem.code for problem in objections.values()]


def broken(error: Exception, guarantee: str = "A", age: float = 0.0) -> Iterable[str]:
    """The codes of a call that was not answered."""
    verdicts, _ = failed(going(age), error, guarantee, PATIENCE)
    return [verdict.problem or "" for verdict in verdicts]


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "refused_by_billing": partial(answered, Outcome.REFUSED),
    "billing_unavailable": partial(answered, Outcome.LATER),
    "in_doubt": partial(broken, Unavailable("reset", sent=True), "C"),
    "retries_spent": partial(broken, Unavailable("refused", sent=False), "A", PATIENCE.total + 1),
    "target_misconfigured": partial(broken, Misconfigured("no such host")),
}
