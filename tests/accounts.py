"""Agreements with a party behind them, as a registry knows them: what people link to themselves in tests."""

from collections.abc import Sequence

from gateway.domain.supply import key
from gateway.store import Store
from gateway.store.rows import array

ADD = """
with whose as (insert into party (utility_id, code, key, name, tax_number, emails)
  values (%(u)s, %(party)s, %(party_key)s, %(name)s, %(tax)s, %(party_emails)s::text[])
  on conflict (utility_id, key) do update set name = excluded.name returning id)
insert into agreement (utility_id, number, key, profile, party_id, emails, signed_on)
select %(u)s, %(number)s, %(key)s, %(profile)s, id, %(emails)s::text[], '2018-11-12' from whose
on conflict (utility_id, key) do update set party_id = excluded.party_id returning id"""


def account(
    owner: Store,
    utility: int,
    profile: str,
    number: str,
    *,
    name: str = "Иванов Иван Иванович",
    tax: str = "",
    emails: Sequence[str] = (),
    party_emails: Sequence[str] = (),
    party: str = "",
) -> int:
    """The id of an agreement of this number, made unless it is there, whose party is another for each name unless one is told."""
    told = {
        "u": utility,
        "party": party or name,
        "party_key": key(party or name),
        "name": name,
        "tax": tax,
        "party_emails": array(party_emails, "text"),
        "number": number,
        "key": key(number),
        "profile": profile,
        "emails": array(emails, "text"),
    }
    with owner.transaction() as connection:
        return int(connection.exec_driver_sql(ADD, told).scalar_one())
