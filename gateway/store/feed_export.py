"""The registry written out as rows of a feed; brought in again they change nothing."""

from collections.abc import Iterator
from typing import Final

from psycopg import sql
from sqlalchemy import Connection

from gateway.domain.supply import Line
from gateway.store.feed_parts import CIRCUIT, ids

_COLUMNS: Final = {
    "agreement": "a.number",
    **{f"{kind}_ids": f"coalesce(i_{kind}.ids, '')" for kind in ("agreement", "point", "meter")},
    "branch": "coalesce(b.code, '')",
    "branch_title": "coalesce(b.title, '')",
    "party": "coalesce(c.name, '')",
    "party_code": "coalesce(c.code, '')",
    "party_tax_number": "coalesce(c.tax_number, '')",
    "party_emails": "coalesce(array_to_string(c.emails, ';'), '')",
    "party_window_day": "c.window_day",
    "agreement_emails": "array_to_string(a.emails, ';')",
    **{name: f"a.{name}" for name in ("signed_on", "closed_on", "price_category", "window_day")},
    "location": "coalesce(l.code, '')",
    "location_name": "coalesce(l.name, '')",
    "location_address": "coalesce(l.address, '')",
    "location_entry_open": "coalesce(l.entry_open, true)",
    "max_power": "l.max_power",
    **{name: f"coalesce(l.{name}, '')" for name in ("voltage", "grid_company", "boundary")},
    "point": "p.code",
    "point_name": "p.name",
    "point_closed_on": "p.closed_on",
    "service": "p.service",
    "since": "t.since",
    "ratio": "t.ratio_current",
    **{name: f"t.{name}" for name in ("ratio_voltage", "losses", "losses_constant")},
    "meter": "m.serial",
    **{
        name: f"m.{name}"
        for name in ("model", "max_flow", "installed_on", "removed_on", "admitted_on", "verified_on", "verify_by", "entry_open")
    },
    "register": "r.code",
    "location_status": "case when sl.period >= coalesce(sm.period, '') then sl.status else '' end",
    "entry_status": "case when sm.period >= coalesce(sl.period, '') then sm.status else '' end",
    "entry_period": "coalesce(greatest(sl.period, sm.period), '')",
    "scheme": "coalesce(h.scheme, '')",
    **{name: f"r.{name}" for name in ("digits", "decimals", "initial", "final", "last", "last_period")},
}
_LAST: Final = (
    "(select distinct on (entity_id) entity_id, period, status from entry_status where utility_id = {{utility}} and kind = '{kind}' "
    "order by entity_id, period desc)"
)
"""The last that billing said of entry, for each thing of a kind."""
_EXPORT: Final = f"""copy (select {", ".join(f"{_COLUMNS[name]} as {name}" for name in Line.__struct_fields__)}
from agreement a left join party c on c.id = a.party_id left join branch b on b.id = a.branch_id
join usage_point p on p.agreement_id = a.id left join service_location l on l.id = p.service_location_id
join point_terms t on t.usage_point_id = p.id join meter m on m.usage_point_id = p.id join register r on r.meter_id = m.id
left join circuit h on h.meter_id = m.id and left(r.code, 4) = 'heat' and h.number = {CIRCUIT.format(code="r.code")}
{ids("agreement", "a.id", "{utility}")} {ids("point", "p.id", "{utility}")} {ids("meter", "m.id", "{utility}")}
left join {_LAST.format(kind="location")} sl on sl.entity_id = l.id
left join {_LAST.format(kind="meter")} sm on sm.entity_id = m.id
where a.utility_id = {{utility}} and a.profile = {{profile}}
order by a.key, p.key, m.id, r.id, t.since) to stdout with (format csv, header)"""


def export(connection: Connection, utility_id: int, profile: str) -> Iterator[bytes]:
    """The registry of a profile's agreements as CSV, piece by piece: one row a register and terms."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    statement = sql.SQL(_EXPORT).format(utility=sql.Literal(utility_id), profile=sql.Literal(profile))
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in copy:
            yield bytes(piece)
