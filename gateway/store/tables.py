"""Every table but the ledger's, as SQLAlchemy Core; docs/tables.md says what each is for. Migrations are tested to end up exactly here."""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

meta: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

INSTANT: Final = DateTime(timezone=True)
EMPTY: Final = text("''")
NOW: Final = text("now()")
ZERO: Final = text("0")
FALSE: Final = text("false")


def own_id() -> Column[int]:
    """The primary key of a table whose rows the database numbers."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def of_utility() -> Column[int]:
    """The utility a row belongs to: the wall of row-level security stands on this column."""
    return Column("utility_id", Integer, ForeignKey("utility.id"), nullable=False)


def wall() -> Column[int]:
    """The same on a table written row by row on the hot path: the row's parent, written beside it, has the foreign key already."""
    return Column("utility_id", Integer, nullable=False)


def text_column(name: str) -> Column[str]:
    """A text that is empty when not told, never NULL."""
    return Column(name, Text, nullable=False, server_default=EMPTY)


utility = Table(
    "utility",
    meta,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    text_column("title"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
)
document = Table(
    "document",
    meta,
    own_id(),
    of_utility(),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    text_column("author"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    UniqueConstraint("utility_id", "kind", "name", "version"),
)
credential = Table(
    "credential",
    meta,
    own_id(),
    of_utility(),
    Column("kind", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("agreement_ids", ARRAY(BigInteger)),
    Column("expires_at", INSTANT),
    Column("revoked_at", INSTANT),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("login", Text, unique=True),
    Index("credential_utility_id_principal_idx", "utility_id", "principal"),
)
claim = Table(
    "claim",
    meta,
    of_utility(),
    Column("sha256", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("utility_id", "sha256"),
)
submission = Table(
    "submission",
    meta,
    Column("id", Uuid, primary_key=True),
    of_utility(),
    Column("credential_id", BigInteger, ForeignKey("credential.id"), nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    text_column("format"),
    text_column("file_name"),
    Column("envelope", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", Integer, nullable=False, server_default=ZERO),
    Column("accepted", Integer, nullable=False, server_default=ZERO),
    Column("in_review", Integer, nullable=False, server_default=ZERO),
    Column("rejected", Integer, nullable=False, server_default=ZERO),
    Column("received_at", INSTANT, nullable=False),
    Column("takes", SmallInteger, nullable=False, server_default=ZERO),
    Column("taken_until", INSTANT),
    Column("taken_by", Text),
    ForeignKeyConstraint(["utility_id", "sha256"], ["claim.utility_id", "claim.sha256"]),
    Index(
        "submission_fingerprint",
        "utility_id",
        "fingerprint",
        unique=True,
        postgresql_where=text("status not in ('rejected', 'withdrawn', 'superseded')"),
    ),
    Index("submission_utility_id_credential_id_id_idx", "utility_id", "credential_id", "id"),
    Index("submission_login", "utility_id", text("(envelope ->> 'login')"), "id", postgresql_where=text("(envelope ->> 'login') <> ''")),
    Index("submission_received", "received_at", postgresql_where=text("status = 'received'")),
)
idempotency = Table(
    "idempotency",
    meta,
    of_utility(),
    Column("credential_id", BigInteger, ForeignKey("credential.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("submission_id", Uuid, ForeignKey("submission.id"), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("utility_id", "credential_id", "key"),
)
meter_reading = Table(
    "meter_reading",
    meta,
    Column("id", Uuid, primary_key=True),
    wall(),
    Column("submission_id", Uuid, ForeignKey("submission.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("meter_id", BigInteger),
    text_column("agreement"),
    text_column("meter"),
    text_column("period"),
    Column("at", INSTANT),
    Column("revision", SmallInteger, nullable=False, server_default=ZERO),
    Column("status", Text, nullable=False),
    Column("same_as", Uuid),
    text_column("place"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("intervals", Boolean, nullable=False, server_default=FALSE),
    text_column("source"),
    Column("hold_until", INSTANT),
    UniqueConstraint("submission_id", "ordinal", name="meter_reading_submission"),
    Index("meter_reading_meter_id_period_idx", "meter_id", "period"),
    Index("meter_reading_in_review", "utility_id", "id", postgresql_where=text("status = 'needs_review'")),
    Index("meter_reading_held", "hold_until", postgresql_where=text("status = 'accepted' and same_as is null")),
    postgresql_with={"fillfactor": "60"},
)
reading = Table(
    "reading",
    meta,
    wall(),
    Column("meter_reading_id", Uuid, nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("register", Text, nullable=False),
    Column("value", Numeric, nullable=False),
    Column("previous", Numeric),
    Column("consumption", Numeric),
    Column("quality", Text, nullable=False),
    Column("ratio_applied", Boolean, nullable=False),
    Column("losses_applied", Boolean, nullable=False),
    text_column("place"),
    Column("volume", Boolean, nullable=False, server_default=FALSE),
    PrimaryKeyConstraint("meter_reading_id", "ordinal"),
)
problem = Table(
    "problem",
    meta,
    own_id(),
    wall(),
    Column("submission_id", Uuid, ForeignKey("submission.id"), nullable=False),
    Column("meter_reading_id", Uuid),
    Column("code", Text, nullable=False),
    Column("severity", Text, nullable=False),
    text_column("place"),
    Column("values", JSONB, nullable=False),
    Index("problem_submission_id_idx", "submission_id"),
)
event = Table(
    "event",
    meta,
    own_id(),
    wall(),
    Column("at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
    Column("entity", Text, nullable=False),
    Column("entity_id", Uuid, nullable=False),
    text_column("from_state"),
    Column("to_state", Text, nullable=False),
    text_column("actor"),
    text_column("reason"),
    Index("event_entity_id_idx", "entity_id", "id"),
)
settlement = Table(
    "settlement",
    meta,
    own_id(),
    of_utility(),
    Column("agreement_id", BigInteger, ForeignKey("agreement.id"), nullable=False),
    Column("meter_id", BigInteger, ForeignKey("meter.id")),
    text_column("point"),
    Column("quantity", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("volume", Numeric, nullable=False),
    text_column("unit"),
    Column("method", Text, nullable=False),
    Column("amount", Numeric),
    text_column("reference"),
    Column("at", INSTANT),
    Column("readings", ARRAY(Uuid), nullable=False),
    Column("received_at", INSTANT, nullable=False, server_default=NOW),
    UniqueConstraint(
        "utility_id",
        "agreement_id",
        "meter_id",
        "point",
        "quantity",
        "period",
        "version",
        "stage",
        name="settlement_word",
        postgresql_nulls_not_distinct=True,
    ),
)
