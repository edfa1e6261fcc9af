"""The kinds of things that a row of a registry tells of: how each is told apart, what is known of it, and how it is written."""

from typing import Final

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing in a row `l` of the staged table `line`.

    `key`: columns of the row that tell it apart. `told`: field -> the column it comes from. `there`: what the registry knows, as rows of
    key and fields. `filled`: which rows tell of one. It stands in `table` by the columns `unique` (`walled`: and its utility), each with
    where it comes from, found by `joins`. A field is written to the column of its name unless `written` says column and value, or nothing.
    `once`: what is written only when it is new; `touched`: what a change sets besides.
    """

    kind: str
    key: tuple[str, ...]
    told: dict[str, str]
    there: str
    filled: str = "true"
    table: str
    unique: dict[str, str]
    walled: bool = True
    joins: str = ""
    written: dict[str, tuple[str, str] | None] = {}
    once: dict[str, str] = {}
    touched: str = ""

    @property
    def sources(self) -> list[str]:
        """The columns of a row that must agree with every other row about the same thing; how a code is written is none of them."""
        return [source for source in self.told.values() if not source.startswith("%") and source not in KEYS.values()]

    def upsert(self) -> str:
        """The statement that brings in what is new or changed, each thing as the first row says it; parameters `u` and `profile`."""
        places = [one or ("", "") for one in (self.written.get(name, (name, f"l.{source}")) for name, source in self.told.items())]
        columns = {column: value for column, value in places if column}
        names = ", ".join(["utility_id", *self.unique, *columns, *self.once])
        values = ", ".join(["%(u)s", *self.unique.values(), *columns.values(), *self.once.values()])
        by = ", ".join(self.unique.values())
        known, came = (", ".join(f"{row}.{column}" for column in columns) for row in ("t", "excluded"))
        return (
            f"insert into {self.table} as t ({names}) select distinct on ({by}) {values} from line l {self.joins} where {self.filled} "
            f"order by {by}, l.n on conflict ({', '.join([*(['utility_id'] if self.walled else []), *self.unique])}) do update set "
            f"{', '.join(f'{column} = excluded.{column}' for column in columns)}{self.touched} where ({known}) is distinct from ({came})"
        )


KEYS: Final = {
    "agreement": "agreement",
    "branch": "branch",
    "party": "party_code",
    "location": "location",
    "point": "point",
    "meter": "meter",
}
"""What is matched on a folded key, and the field it is made of."""

_A: Final = "join agreement a on a.id = p.agreement_id and a.utility_id = %(u)s and a.key in (select agreement_key from line)"
_OF_AGREEMENT: Final = "join agreement a on a.utility_id = %(u)s and a.key = l.agreement_key"
_OF_LOCATION: Final = (
    f"{_OF_AGREEMENT} join service_location o on o.utility_id = %(u)s and o.agreement_id = a.id and o.key = l.location_key"
)
_OF_POINT: Final = f"{_OF_AGREEMENT} join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = l.point_key"
_OF_METER: Final = f"{_OF_POINT} join meter m on m.utility_id = %(u)s and m.usage_point_id = p.id and m.key = l.meter_key"
CIRCUIT: Final = "coalesce(nullif(split_part({code}, '@', 2), ''), '1')::smallint"
"""The number of the heat input that a register's code names: 2 of `heat@2`."""


def ids(kind: str, entity: str, utility: str = "%(u)s") -> str:
    """The join to what other systems call the things of a kind whose id is `entity`, as a row tells it: `i_KIND.ids`."""
    return (
        f"left join (select entity_id, string_agg(system || '=' || code, ';' order by system collate \"C\") as ids from external_id "
        f"where utility_id = {utility} and kind = '{kind}' group by entity_id) i_{kind} on i_{kind}.entity_id = {entity}"
    )


def _addresses(column: str) -> tuple[str, str]:
    return "emails", f"string_to_array(l.{column}, ';')"


PARTS: Final = (
    Part(
        kind="branch",
        key=("branch_key",),
        told={"code": "branch", "title": "branch_title"},
        there="select key as branch_key, code, title from branch where utility_id = %(u)s and key in (select branch_key from line)",
        filled="l.branch_key <> ''",
        table="branch",
        unique={"key": "l.branch_key"},
    ),
    Part(
        kind="party",
        key=("party_key",),
        told={
            "code": "party_code",
            "name": "party",
            "tax_number": "party_tax_number",
            "emails": "party_emails",
            "window_day": "party_window_day",
        },
        there="select key as party_key, code, name, tax_number, array_to_string(emails, ';') as emails, window_day from party "
        "where utility_id = %(u)s and key in (select party_key from line)",
        filled="l.party_key <> ''",
        table="party",
        unique={"key": "l.party_key"},
        written={"emails": _addresses("party_emails")},
    ),
    Part(
        kind="agreement",
        key=("agreement_key",),
        told={"number": "agreement", "profile": "%(profile)s::text", "party": "party_key", "branch": "branch_key"}
        | {"emails": "agreement_emails", "ids": "agreement_ids"}
        | {name: name for name in ("signed_on", "closed_on", "price_category", "window_day")},
        there="select a.key as agreement_key, a.number, a.profile, coalesce(c.key, '') as party, coalesce(b.key, '') as branch, "
        "array_to_string(a.emails, ';') as emails, a.signed_on, a.closed_on, a.price_category, a.window_day, "
        f"coalesce(i_agreement.ids, '') as ids from agreement a left join party c on c.id = a.party_id "
        f"left join branch b on b.id = a.branch_id {ids('agreement', 'a.id')} "
        "where a.utility_id = %(u)s and a.key in (select agreement_key from line)",
        table="agreement",
        unique={"key": "l.agreement_key"},
        joins="left join party c on c.utility_id = %(u)s and c.key = l.party_key and l.party_key <> '' "
        "left join branch b on b.utility_id = %(u)s and b.key = l.branch_key and l.branch_key <> ''",
        written={
            "profile": ("profile", "%(profile)s"),
            "party": ("party_id", "c.id"),
            "branch": ("branch_id", "b.id"),
            "emails": _addresses("agreement_emails"),
            "ids": None,
        },
    ),
    Part(
        kind="location",
        key=("agreement_key", "location_key"),
        told={"code": "location", "name": "location_name", "address": "location_address", "entry_open": "location_entry_open"}
        | {name: name for name in ("max_power", "voltage", "grid_company", "boundary")},
        there="select a.key as agreement_key, p.key as location_key, p.code, p.name, p.address, p.entry_open, p.max_power, p.voltage, "
        f"p.grid_company, p.boundary from service_location p {_A}",
        filled="l.location_key <> ''",
        table="service_location",
        unique={"agreement_id": "a.id", "key": "l.location_key"},
        joins=_OF_AGREEMENT,
    ),
    Part(
        kind="point",
        key=("agreement_key", "point_key"),
        told={"code": "point", "name": "point_name", "location": "location_key", "service": "service", "closed_on": "point_closed_on"}
        | {"ids": "point_ids"},
        there="select a.key as agreement_key, p.key as point_key, p.code, p.name, coalesce(o.key, '') as location, p.service, p.closed_on, "
        f"coalesce(i_point.ids, '') as ids from usage_point p {_A} left join service_location o on o.id = p.service_location_id "
        f"{ids('point', 'p.id')}",
        table="usage_point",
        unique={"agreement_id": "a.id", "key": "l.point_key"},
        joins=f"{_OF_AGREEMENT} left join service_location o on o.utility_id = %(u)s and o.agreement_id = a.id and o.key = l.location_key",
        written={"location": ("service_location_id", "o.id"), "ids": None},
    ),
    Part(
        kind="terms",
        key=("agreement_key", "point_key", "since_day"),
        told={name: name for name in ("ratio", "ratio_voltage", "losses", "losses_constant")},
        there="select a.key as agreement_key, p.key as point_key, t.since as since_day, t.ratio_current as ratio, t.ratio_voltage, "
        f"t.losses, t.losses_constant from point_terms t join usage_point p on p.id = t.usage_point_id {_A}",
        table="point_terms",
        unique={"usage_point_id": "p.id", "since": "l.since_day"},
        walled=False,
        joins=_OF_POINT,
        written={"ratio": ("ratio_current", "l.ratio")},
    ),
    Part(
        kind="meter",
        key=("agreement_key", "point_key", "meter_key"),
        told={"serial": "meter", "ids": "meter_ids"}
        | {
            name: name
            for name in ("entry_open", "model", "max_flow", "installed_on", "removed_on", "admitted_on", "verified_on", "verify_by")
        },
        there="select a.key as agreement_key, p.key as point_key, m.key as meter_key, m.serial, m.entry_open, m.model, m.max_flow, "
        f"m.installed_on, m.removed_on, m.admitted_on, m.verified_on, m.verify_by, coalesce(i_meter.ids, '') as ids "
        f"from meter m join usage_point p on p.id = m.usage_point_id {_A} {ids('meter', 'm.id')}",
        table="meter",
        unique={"usage_point_id": "p.id", "key": "l.meter_key"},
        joins=_OF_POINT,
        written={"ids": None},
    ),
    Part(
        kind="register",
        key=("agreement_key", "point_key", "meter_key", "register"),
        told={name: name for name in ("digits", "decimals", "initial", "final", "scheme")},
        there="select a.key as agreement_key, p.key as point_key, m.key as meter_key, r.code as register, r.digits, r.decimals, r.initial, "
        "r.final, coalesce(h.scheme, '') as scheme from register r join meter m on m.id = r.meter_id "
        f"join usage_point p on p.id = m.usage_point_id {_A} "
        f"left join circuit h on h.meter_id = m.id and left(r.code, 4) = 'heat' and h.number = {CIRCUIT.format(code='r.code')}",
        table="register",
        unique={"meter_id": "m.id", "code": "l.register"},
        walled=False,
        joins=_OF_METER,
        written={"scheme": None},
        once={"last": "l.last", "last_period": "l.last_period"},
    ),
    Part(
        kind="location_status",
        key=("agreement_key", "location_key", "entry_period"),
        told={"status": "location_status"},
        there="select a.key as agreement_key, p.key as location_key, e.period as entry_period, e.status from entry_status e "
        f"join service_location p on p.id = e.entity_id {_A} where e.kind = 'location'",
        filled="l.location_status <> '' and l.location_key <> ''",
        table="entry_status",
        unique={"kind": "'location'::text", "entity_id": "o.id", "period": "l.entry_period"},
        walled=False,
        joins=_OF_LOCATION,
        touched=", told_at = now()",
    ),
    Part(
        kind="entry_status",
        key=("agreement_key", "point_key", "meter_key", "entry_period"),
        told={"status": "entry_status"},
        there="select a.key as agreement_key, p.key as point_key, m.key as meter_key, e.period as entry_period, e.status "
        f"from entry_status e join meter m on m.id = e.entity_id join usage_point p on p.id = m.usage_point_id {_A} where e.kind = 'meter'",
        filled="l.entry_status <> ''",
        table="entry_status",
        unique={"kind": "'meter'::text", "entity_id": "m.id", "period": "l.entry_period"},
        walled=False,
        joins=_OF_METER,
        touched=", told_at = now()",
    ),
)

CIRCUITS: Final = (
    f"""update circuit h set scheme = '' from line l {_OF_METER}
where h.meter_id = m.id and left(l.register, 4) = 'heat' and h.number = {CIRCUIT.format(code="l.register")} and l.scheme = ''
  and h.scheme <> ''""",
    f"""insert into circuit as t (utility_id, meter_id, number, scheme)
select distinct on (m.id, l.register) %(u)s, m.id, {CIRCUIT.format(code="l.register")}, l.scheme from line l {_OF_METER}
where l.scheme <> '' order by m.id, l.register, l.n
on conflict (meter_id, number) do update set scheme = excluded.scheme where t.scheme <> excluded.scheme""",
)
"""Heat inputs stand apart from their registers; a scheme that a row no longer tells is emptied."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that other systems have codes for. `entity`: its id, found by `joins`; `key`: what tells it apart in a row."""

    kind: str
    key: str
    entity: str
    joins: str

    @property
    def codes(self) -> str:
        """Every code that a row l tells of it: what was told (`SYSTEM=code`) beside the same folded."""
        told = ", ".join(f"string_to_array(l.{self.kind}_ids{folded}, ';')" for folded in ("", "_key"))
        return f"line l cross join lateral unnest({told}) as i(told, folded)"

    def upserts(self) -> tuple[str, str]:
        """The statements that take back the codes that a row no longer tells, and bring in those it tells, whoever had them."""
        gone = (
            f"delete from external_id e using line l {self.joins} where e.utility_id = %(u)s and e.kind = '{self.kind}' "
            f"and e.entity_id = {self.entity} and not e.system || '=' || e.code = any(string_to_array(l.{self.kind}_ids, ';'))"
        )
        return (
            gone,
            f"""insert into external_id as t (utility_id, system, kind, key, code, entity_id)
select distinct on (i.folded) %(u)s, split_part(i.told, '=', 1), '{self.kind}', substr(i.folded, strpos(i.folded, '=') + 1),
  substr(i.told, strpos(i.told, '=') + 1), {self.entity} from {self.codes} {self.joins} order by i.folded, l.n
on conflict (utility_id, system, kind, key) do update set code = excluded.code, entity_id = excluded.entity_id
where (t.code, t.entity_id) is distinct from (excluded.code, excluded.entity_id)""",
        )


NAMED: Final = (
    Named(kind="agreement", key="l.agreement_key", entity="a.id", joins=_OF_AGREEMENT),
    Named(kind="point", key="l.agreement_key, l.point_key", entity="p.id", joins=_OF_POINT),
    Named(kind="meter", key="l.agreement_key, l.point_key, l.meter_key", entity="m.id", joins=_OF_METER),
)
