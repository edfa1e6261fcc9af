"""What a register usually advances is kept beside it and read with it: no history is asked when a reading comes."""

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
