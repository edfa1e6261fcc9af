"""Acts about meters on their way in: whose meter it is, whether it can have shown what is told, and the act as it stands."""

from gateway.domain.acts import Act, strange
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.domain.supply import key
from gateway.pipeline.weighing import candidates
from gateway.store import Store, acts, supply
from gateway.store.acts import Written
from gateway.store.people import Sender


def write(store: Store, sender: Sender, act: Act, *, meter: str, agreement: str = "", point: str = "") -> Written:
    """Write an act about the one meter that is named; readings of it that come later are judged by it.

    Its registers are held meanwhile, so that no reading is half judged with the act and half without. Raises Rejected.
    """
    about = MeterReading(meter=meter, agreement=agreement, point=point, readings=(), where="meter")
    with store.transaction(sender.utility_id) as connection:
        known = supply.lock_meters(connection, sender.utility_id, [meter])
        named = supply.points_named(connection, sender.utility_id, [key(point)]) if point else {}
        found = candidates(known, named, about, sender) if key(meter) else []
        if len(found) != 1:
            raise Rejected(Problem(code="meter_ambiguous" if found else "meter_unknown", where="meter", values={"meter": meter[:40]}))
        problems = list(strange(act, found[0].meter))
        if problems:
            raise Rejected(*problems)
        return acts.write(connection, sender, found[0].meter.id, act)
