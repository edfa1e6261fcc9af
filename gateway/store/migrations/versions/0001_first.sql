-- Every table, the three roles and the wall between utilities. Frozen: later changes are later files.
CREATE TABLE attempt (
  utility_id INTEGER NOT NULL,
  delivery_id UUID NOT NULL,
  batch_id UUID NOT NULL,
  outcome TEXT NOT NULL,
  problem TEXT,
  CONSTRAINT attempt_pkey PRIMARY KEY (delivery_id, batch_id)
);
CREATE TABLE delivery (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject_id UUID NOT NULL,
  lane_id BIGINT NOT NULL,
  read_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revision SMALLINT NOT NULL,
  sender_id BIGINT NOT NULL,
  rank BIGINT NOT NULL,
  tries SMALLINT DEFAULT 0 NOT NULL,
  problem TEXT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT delivery_pkey PRIMARY KEY (id)
);
CREATE INDEX delivery_lane ON delivery (target_id, lane_id, read_at, revision, id);
CREATE INDEX delivery_subject_id_idx ON delivery (subject_id);
CREATE TABLE delivery_closed (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject_id UUID NOT NULL,
  lane_id BIGINT NOT NULL,
  read_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revision SMALLINT NOT NULL,
  sender_id BIGINT NOT NULL,
  rank BIGINT NOT NULL,
  tries SMALLINT NOT NULL,
  problem TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  state SMALLINT NOT NULL,
  batch_id UUID,
  reference TEXT,
  closed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT delivery_closed_pkey PRIMARY KEY (id)
);
CREATE INDEX delivery_closed_dead ON delivery_closed (target_id, state) WHERE state = 6;
CREATE INDEX delivery_closed_subject_id_idx ON delivery_closed (subject_id);
CREATE TABLE event (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
  entity TEXT NOT NULL,
  entity_id UUID NOT NULL,
  from_state TEXT DEFAULT '' NOT NULL,
  to_state TEXT NOT NULL,
  actor TEXT DEFAULT '' NOT NULL,
  reason TEXT DEFAULT '' NOT NULL,
  CONSTRAINT event_pkey PRIMARY KEY (id)
);
CREATE INDEX event_entity_id_idx ON event (entity_id, id);
CREATE TABLE lane (
  utility_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  lane_id BIGINT NOT NULL,
  state SMALLINT NOT NULL,
  priority SMALLINT NOT NULL,
  rank BIGINT NOT NULL,
  open INTEGER NOT NULL,
  due TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  batch_id UUID,
  CONSTRAINT lane_pkey PRIMARY KEY (target_id, lane_id)
)
 WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX lane_delayed ON lane (target_id, due) WHERE state = 2;
CREATE INDEX lane_ready ON lane (target_id, priority, rank) WHERE state = 1;
CREATE TABLE reading (
  utility_id INTEGER NOT NULL,
  meter_reading_id UUID NOT NULL,
  ordinal SMALLINT NOT NULL,
  register TEXT NOT NULL,
  value NUMERIC NOT NULL,
  previous NUMERIC,
  consumption NUMERIC,
  quality TEXT NOT NULL,
  ratio_applied BOOLEAN NOT NULL,
  losses_applied BOOLEAN NOT NULL,
  place TEXT DEFAULT '' NOT NULL,
  CONSTRAINT reading_pkey PRIMARY KEY (meter_reading_id, ordinal)
);
CREATE TABLE utility (
  id INTEGER GENERATED ALWAYS AS IDENTITY,
  code TEXT NOT NULL,
  title TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT utility_pkey PRIMARY KEY (id),
  CONSTRAINT utility_code_key UNIQUE (code)
);
CREATE TABLE agreement (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  number TEXT NOT NULL,
  key TEXT NOT NULL,
  party TEXT DEFAULT '' NOT NULL,
  profile TEXT NOT NULL,
  CONSTRAINT agreement_pkey PRIMARY KEY (id),
  CONSTRAINT agreement_utility_id_key_key UNIQUE (utility_id, key),
  CONSTRAINT agreement_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE TABLE claim (
  utility_id INTEGER NOT NULL,
  sha256 BYTEA NOT NULL,
  body BYTEA NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT claim_pkey PRIMARY KEY (utility_id, sha256),
  CONSTRAINT claim_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE TABLE credential (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  principal TEXT NOT NULL,
  secret_hash BYTEA NOT NULL,
  scopes TEXT[] NOT NULL,
  agreement_ids BIGINT[],
  expires_at TIMESTAMP WITH TIME ZONE,
  revoked_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT credential_pkey PRIMARY KEY (id),
  CONSTRAINT credential_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT credential_secret_hash_key UNIQUE (secret_hash)
);
CREATE INDEX credential_utility_id_principal_idx ON credential (utility_id, principal);
CREATE TABLE document (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  body BYTEA NOT NULL,
  author TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT document_pkey PRIMARY KEY (id),
  CONSTRAINT document_utility_id_kind_name_version_key UNIQUE (utility_id, kind, name, version),
  CONSTRAINT document_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE TABLE target (
  id INTEGER GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  rate FLOAT,
  max_batches INTEGER DEFAULT 4 NOT NULL,
  next_call_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  paused TEXT,
  breaker_until TIMESTAMP WITH TIME ZONE,
  failures INTEGER DEFAULT 0 NOT NULL,
  floor BIGINT[] DEFAULT '{0,0}' NOT NULL,
  CONSTRAINT target_pkey PRIMARY KEY (id),
  CONSTRAINT target_utility_id_name_key UNIQUE (utility_id, name),
  CONSTRAINT target_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
)
 WITH (fillfactor = 20);
CREATE TABLE batch (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  worker TEXT NOT NULL,
  phase SMALLINT DEFAULT 0 NOT NULL,
  claimed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE,
  finished_at TIMESTAMP WITH TIME ZONE,
  answer BYTEA,
  items UUID[] NOT NULL,
  CONSTRAINT batch_pkey PRIMARY KEY (id),
  CONSTRAINT batch_target_id_fkey FOREIGN KEY(target_id) REFERENCES target (id)
)
 WITH (fillfactor = 70);
CREATE INDEX batch_open ON batch (target_id, lease_until) WHERE finished_at is null;
CREATE TABLE service_location (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  agreement_id BIGINT NOT NULL,
  code TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  entry_open BOOLEAN DEFAULT true NOT NULL,
  CONSTRAINT service_location_pkey PRIMARY KEY (id),
  CONSTRAINT service_location_utility_id_agreement_id_key_key UNIQUE (utility_id, agreement_id, key),
  CONSTRAINT service_location_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT service_location_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id)
);
CREATE TABLE share (
  utility_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  sender_id BIGINT NOT NULL,
  priority SMALLINT NOT NULL,
  last BIGINT NOT NULL,
  CONSTRAINT share_pkey PRIMARY KEY (target_id, sender_id, priority),
  CONSTRAINT share_target_id_fkey FOREIGN KEY(target_id) REFERENCES target (id)
);
CREATE TABLE submission (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  credential_id BIGINT NOT NULL,
  sha256 BYTEA NOT NULL,
  fingerprint BYTEA NOT NULL,
  channel TEXT NOT NULL,
  format TEXT DEFAULT '' NOT NULL,
  file_name TEXT DEFAULT '' NOT NULL,
  envelope JSONB NOT NULL,
  status TEXT NOT NULL,
  total INTEGER DEFAULT 0 NOT NULL,
  accepted INTEGER DEFAULT 0 NOT NULL,
  in_review INTEGER DEFAULT 0 NOT NULL,
  rejected INTEGER DEFAULT 0 NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE NOT NULL,
  takes SMALLINT DEFAULT 0 NOT NULL,
  taken_until TIMESTAMP WITH TIME ZONE,
  taken_by TEXT,
  CONSTRAINT submission_pkey PRIMARY KEY (id),
  CONSTRAINT submission_utility_id_sha256_fkey FOREIGN KEY(utility_id, sha256) REFERENCES claim (utility_id, sha256),
  CONSTRAINT submission_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT submission_credential_id_fkey FOREIGN KEY(credential_id) REFERENCES credential (id)
);
CREATE UNIQUE INDEX submission_fingerprint ON submission (utility_id, fingerprint) WHERE status <> 'rejected';
CREATE INDEX submission_received ON submission (received_at) WHERE status = 'received';
CREATE INDEX submission_utility_id_credential_id_id_idx ON submission (utility_id, credential_id, id);
CREATE TABLE idempotency (
  utility_id INTEGER NOT NULL,
  credential_id BIGINT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BYTEA NOT NULL,
  submission_id UUID NOT NULL,
  answer BYTEA NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_pkey PRIMARY KEY (utility_id, credential_id, key),
  CONSTRAINT idempotency_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT idempotency_credential_id_fkey FOREIGN KEY(credential_id) REFERENCES credential (id),
  CONSTRAINT idempotency_submission_id_fkey FOREIGN KEY(submission_id) REFERENCES submission (id)
);
CREATE TABLE meter_reading (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  submission_id UUID NOT NULL,
  ordinal INTEGER NOT NULL,
  meter_id BIGINT,
  agreement TEXT DEFAULT '' NOT NULL,
  meter TEXT DEFAULT '' NOT NULL,
  period TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE,
  revision SMALLINT DEFAULT 0 NOT NULL,
  status TEXT NOT NULL,
  same_as UUID,
  place TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT meter_reading_pkey PRIMARY KEY (id),
  CONSTRAINT meter_reading_submission UNIQUE (submission_id, ordinal),
  CONSTRAINT meter_reading_submission_id_fkey FOREIGN KEY(submission_id) REFERENCES submission (id)
)
 WITH (fillfactor = 60);
CREATE INDEX meter_reading_meter_id_period_idx ON meter_reading (meter_id, period);
CREATE TABLE problem (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  submission_id UUID NOT NULL,
  meter_reading_id UUID,
  code TEXT NOT NULL,
  severity TEXT NOT NULL,
  place TEXT DEFAULT '' NOT NULL,
  values JSONB NOT NULL,
  CONSTRAINT problem_pkey PRIMARY KEY (id),
  CONSTRAINT problem_submission_id_fkey FOREIGN KEY(submission_id) REFERENCES submission (id)
);
CREATE INDEX problem_submission_id_idx ON problem (submission_id);
CREATE TABLE usage_point (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  agreement_id BIGINT NOT NULL,
  service_location_id BIGINT,
  code TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  CONSTRAINT usage_point_pkey PRIMARY KEY (id),
  CONSTRAINT usage_point_utility_id_agreement_id_key_key UNIQUE (utility_id, agreement_id, key),
  CONSTRAINT usage_point_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT usage_point_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id),
  CONSTRAINT usage_point_service_location_id_fkey FOREIGN KEY(service_location_id) REFERENCES service_location (id)
);
CREATE TABLE meter (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  usage_point_id BIGINT NOT NULL,
  serial TEXT NOT NULL,
  key TEXT NOT NULL,
  ratio NUMERIC DEFAULT 1 NOT NULL,
  losses NUMERIC DEFAULT 0 NOT NULL,
  entry_open BOOLEAN DEFAULT true NOT NULL,
  CONSTRAINT meter_pkey PRIMARY KEY (id),
  CONSTRAINT meter_utility_id_usage_point_id_key_key UNIQUE (utility_id, usage_point_id, key),
  CONSTRAINT meter_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT meter_usage_point_id_fkey FOREIGN KEY(usage_point_id) REFERENCES usage_point (id)
);
CREATE INDEX meter_utility_id_key_idx ON meter (utility_id, key);
CREATE TABLE register (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  meter_id BIGINT NOT NULL,
  code TEXT NOT NULL,
  digits SMALLINT NOT NULL,
  decimals SMALLINT NOT NULL,
  last NUMERIC,
  last_period TEXT DEFAULT '' NOT NULL,
  last_at TIMESTAMP WITH TIME ZONE,
  last_reading_id UUID,
  before NUMERIC,
  CONSTRAINT register_pkey PRIMARY KEY (id),
  CONSTRAINT register_meter_id_code_key UNIQUE (meter_id, code),
  CONSTRAINT register_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
)
 WITH (fillfactor = 80);
CREATE TABLE settlement (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  agreement_id BIGINT NOT NULL,
  meter_id BIGINT,
  point TEXT DEFAULT '' NOT NULL,
  quantity TEXT NOT NULL,
  period TEXT NOT NULL,
  stage TEXT NOT NULL,
  version INTEGER NOT NULL,
  volume NUMERIC NOT NULL,
  unit TEXT DEFAULT '' NOT NULL,
  method TEXT NOT NULL,
  amount NUMERIC,
  reference TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE,
  readings UUID[] NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT settlement_pkey PRIMARY KEY (id),
  CONSTRAINT settlement_word UNIQUE NULLS NOT DISTINCT (utility_id, agreement_id, meter_id, point, quantity, period, version, stage),
  CONSTRAINT settlement_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT settlement_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id),
  CONSTRAINT settlement_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
);

-- Received bytes are mostly compressed already, or small.
alter table claim alter column body set storage external;

-- Roles are the server's, not the database's: a second database finds them there.
do $$
begin
  if not exists (select from pg_roles where rolname = 'metergate_app') then create role metergate_app nologin; end if;
  if not exists (select from pg_roles where rolname = 'metergate_worker') then create role metergate_worker nologin; end if;
exception when duplicate_object or unique_violation then null;
end $$;

-- With one account for everything, that account steps down to the roles; accounts of their own need no such membership.
do $$
begin
  execute format('grant metergate_app, metergate_worker to %I', current_user);
exception when insufficient_privilege or invalid_grant_operation then null;
end $$;

grant usage on schema public to metergate_app, metergate_worker;
grant select, insert, update on all tables in schema public to metergate_app, metergate_worker;
grant delete on delivery, lane to metergate_app, metergate_worker;
revoke insert, update on alembic_version from metergate_app, metergate_worker;
revoke update on event, claim, settlement, delivery_closed, attempt, reading, problem from metergate_app, metergate_worker;
grant usage on all sequences in schema public to metergate_app, metergate_worker;

-- The application sees one utility at a time: the one named by the transaction. The worker serves all of them.
do $$
declare t text;
begin
  for t in select c.table_name from information_schema.columns c join information_schema.tables b using (table_schema, table_name)
           where c.table_schema = 'public' and c.column_name = 'utility_id' and b.table_type = 'BASE TABLE'
  loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy utility_wall on %I to metergate_app using (utility_id = nullif(current_setting(''metergate.utility'', true), '''')::int)', t);
    execute format('create policy every_utility on %I to metergate_worker using (true)', t);
  end loop;
end $$;
alter table utility enable row level security;
create policy utility_wall on utility to metergate_app using (id = nullif(current_setting('metergate.utility', true), '')::int);
create policy every_utility on utility to metergate_worker using (true);

-- A key is known before its utility is: this function alone looks over the wall, and only for the exact hash.
create function credential_of(hash bytea) returns setof credential
  language sql stable security definer set search_path = public, pg_temp
  as $$ select * from credential where secret_hash = hash $$;
revoke all on function credential_of(bytea) from public;
grant execute on function credential_of(bytea) to metergate_app, metergate_worker;
