"""Tables of those who stand behind readings: who may see which agreement, what is hidden, letters, and when billing was last asked."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from gateway.store.supply_tables import TRUE
from gateway.store.tables import INSTANT, NOW, meta, of_utility, own_id, text_column

link = Table(
    "link",
    meta,
    own_id(),
    of_utility(),
    Column("login", Text, nullable=False),
    text_column("email"),
    Column("agreement_id", BigInteger, ForeignKey("agreement.id")),
    Column("state", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("secret_hash", LargeBinary, unique=True),
    Column("asked_at", INSTANT, nullable=False, server_default=NOW),
    Column("expires_at", INSTANT),
    Column("linked_at", INSTANT),
    Column("ended_at", INSTANT),
    text_column("actor"),
    Column("remind_start", SmallInteger),
    Column("remind_end", SmallInteger),
    text_column("asked"),
    Index("link_live", "utility_id", "login", "agreement_id", unique=True, postgresql_where=text("state in ('waiting', 'linked')")),
    Index("link_email", "utility_id", "email", postgresql_where=text("state in ('waiting', 'linked')")),
    Index("link_agreement_id_idx", "agreement_id"),
    Index("link_utility_id_login_asked_at_idx", "utility_id", "login", "asked_at"),
    Index("link_utility_id_asked_asked_at_idx", "utility_id", "asked", "asked_at"),
)
hidden_meter = Table(
    "hidden_meter",
    meta,
    of_utility(),
    Column("principal", Text, nullable=False),
    Column("meter_id", BigInteger, ForeignKey("meter.id"), nullable=False),
    Column("hidden", Boolean, nullable=False, server_default=TRUE),
    Column("at", INSTANT, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("utility_id", "principal", "meter_id"),
)
letter = Table(
    "letter",
    meta,
    Column("id", Uuid, primary_key=True),
    of_utility(),
    Column("agreement_id", BigInteger, ForeignKey("agreement.id")),
    Column("recipient", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("values", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    text_column("reason"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("expires_at", INSTANT),
    UniqueConstraint("utility_id", "kind", "recipient", "occasion"),
)
sync = Table(
    "sync",
    meta,
    own_id(),
    of_utility(),
    Column("name", Text, nullable=False),
    text_column("profile"),
    Column("started_at", INSTANT, nullable=False, server_default=NOW),
    Column("finished_at", INSTANT),
    Column("outcome", Text),
    Column("told", JSONB, nullable=False, server_default=text("'{}'")),
    Index("sync_utility_id_name_id_idx", "utility_id", "name", "id"),
    Index("sync_good", "utility_id", "profile", "id", postgresql_where=text("outcome in ('applied', 'partly', 'unchanged')")),
)
