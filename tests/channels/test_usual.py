"""What a register usually advances is kept beside it and read with it: no history is asked when a reading comes."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.running import Gateway


def test_the_store_remembers_what_is_usual(gateway: Gateway) -> None:
    """Three readings of a household that hands in as it likes; the fourth is out of all proportion."""
    home = gateway.utility("household")
    home.meters("1", last="1000")
    now = datetime.now(UTC).replace(microsecond=0)
    for days, value in ((3, "1100"), (2, "1200")):
        assert home.submit(home.body({"1": value}, at=(now - timedelta(days=days)).isoformat())).json()["readings"][0]["status"] == "queued"
    [row] = gateway.rows("select before, before_at, daily from register where utility_id = %(u)s", u=home.id)
    assert (row.before, row.before_at, row.daily) == (1100, now - timedelta(days=3), None)
    assert home.submit(home.body({"1": "1400"}, at=(now - timedelta(days=1)).isoformat())).json()["readings"][0]["status"] == "queued"
    [row] = gateway.rows("select daily from register where utility_id = %(u)s", u=home.id)
    assert row.daily == 100
    [told] = home.submit(home.body({"1": "3400"}, at=now.isoformat())).json()["readings"]
    assert told["status"] == "needs_review"
    [problem] = [one for one in told["problems"] if one["severity"] == "needs_review"]
    assert problem["code"] == "consumption_high"
    assert [Decimal(problem["values"][name]) for name in ("consumption", "usual")] == [Decimal(2000), Decimal(140)], "100, then 200 a day"


def test_the_store_remembers_the_month_of_the_year_and_the_periods_that_nobody_read(gateway: Gateway) -> None:
    """An advance of forty days, whose middle lies in another month than that of the next one, and then an estimate."""
    home = gateway.utility("household")
    home.meters("1", last="1000")
    now = datetime.now(UTC).replace(microsecond=0)
    since, until = now - timedelta(days=80), now - timedelta(days=40)
    gateway.rows(
        "update register set before = 600, before_at = %(since)s, last_at = %(until)s, last_period = '' where utility_id = %(u)s",
        since=since,
        until=until,
        u=home.id,
    )
    reading = {"register": "A+", "value": "1400", "quality": "estimated"}
    body = {"readings": [{"agreement": "A-1", "meter": "1", "at": now.isoformat(), "registers": [reading]}]}
    told = home.submit(json.dumps(body).encode()).json()
    assert told["readings"][0]["status"] == "queued", told
    [row] = gateway.rows("select last, season, estimated from register where utility_id = %(u)s", u=home.id)
    month = (since + (until - since) / 2).month
    assert (row.last, row.season[month - 1], row.estimated) == (1400, 10, 1)
    assert [known for known in row.season if known is not None] == [10]
    assert home.submit(home.body({"1": "1430"}, at=(now + timedelta(hours=1)).isoformat())).json()["readings"][0]["status"] == "queued"
    [row] = gateway.rows("select last, season, estimated from register where utility_id = %(u)s", u=home.id)
    assert (row.last, row.season[month - 1], row.estimated) == (1430, 10, 0)
