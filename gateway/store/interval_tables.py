"""Tables of interval values and of the SFTP drop: a row holds a whole block, never one value (design D3)."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from gateway.store.tables import FALSE, INSTANT, NOW, meta, wall

interval_register = Table(
    "interval_register",
    meta,
    Column("id", Integer, Identity(always=True), primary_key=True),
    wall(),
    Column("meter_id", BigInteger, ForeignKey("meter.id"), nullable=False),
    Column("code", Text, nullable=False),
    Column("step", Text, nullable=False),
    UniqueConstraint("meter_id", "code", "step"),
)
interval_source = Table(
    "interval_source",
    meta,
    Column("id", Integer, Identity(always=True), primary_key=True),
    wall(),
    Column("meter_reading_id", Uuid, nullable=False, unique=True),
)
interval_block = Table(
    "interval_block",
    meta,
    wall(),
    Column("register_id", Integer, nullable=False),
    Column("day", Date, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("values", ARRAY(Numeric), nullable=False),
    Column("quality", ARRAY(SmallInteger)),
    PrimaryKeyConstraint("register_id", "day"),
)
interval_history = Table(
    "interval_history",
    meta,
    wall(),
    Column("register_id", Integer, nullable=False),
    Column("day", Date, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("values", ARRAY(Numeric), nullable=False),
    Column("quality", ARRAY(SmallInteger)),
    Column("replaced_by", Integer, nullable=False),
    Column("replaced_at", INSTANT, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("register_id", "day", "source_id"),
)
drop_file = Table(
    "drop_file",
    meta,
    wall(),
    Column("credential_id", BigInteger, ForeignKey("credential.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("submission_id", Uuid, ForeignKey("submission.id"), nullable=False),
    Column("told", LargeBinary),
    Column("closed", Boolean, nullable=False, server_default=FALSE),
    Column("taken_at", INSTANT, nullable=False, server_default=NOW),
    PrimaryKeyConstraint("credential_id", "name", "submission_id"),
    Index("drop_file_open", "credential_id", postgresql_where=text("not closed")),
)
