CREATE TABLE link (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  login TEXT NOT NULL,
  email TEXT DEFAULT '' NOT NULL,
  agreement_id BIGINT,
  state TEXT NOT NULL,
  method TEXT NOT NULL,
  secret_hash BYTEA,
  asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,
  linked_at TIMESTAMP WITH TIME ZONE,
  ended_at TIMESTAMP WITH TIME ZONE,
  actor TEXT DEFAULT '' NOT NULL,
  remind_start SMALLINT,
  remind_end SMALLINT,
  asked TEXT DEFAULT '' NOT NULL,
  CONSTRAINT link_pkey PRIMARY KEY (id),
  CONSTRAINT link_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT link_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id),
  CONSTRAINT link_secret_hash_key UNIQUE (secret_hash)
);
CREATE INDEX link_agreement_id_idx ON link (agreement_id);
CREATE INDEX link_email ON link (utility_id, email) WHERE state in ('waiting', 'linked');
CREATE UNIQUE INDEX link_live ON link (utility_id, login, agreement_id) WHERE state in ('waiting', 'linked');
CREATE INDEX link_utility_id_asked_asked_at_idx ON link (utility_id, asked, asked_at);
CREATE INDEX link_utility_id_login_asked_at_idx ON link (utility_id, login, asked_at);
CREATE TABLE hidden_meter (
  utility_id INTEGER NOT NULL,
  principal TEXT NOT NULL,
  meter_id BIGINT NOT NULL,
  hidden BOOLEAN DEFAULT true NOT NULL,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT hidden_meter_pkey PRIMARY KEY (utility_id, principal, meter_id),
  CONSTRAINT hidden_meter_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT hidden_meter_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
);
CREATE TABLE letter (
  id UUID NOT NULL,
  utility_id INTEGER NOT NULL,
  agreement_id BIGINT,
  recipient TEXT NOT NULL,
  kind TEXT NOT NULL,
  occasion TEXT NOT NULL,
  language TEXT NOT NULL,
  values JSONB NOT NULL,
  status TEXT NOT NULL,
  reason TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT letter_pkey PRIMARY KEY (id),
  CONSTRAINT letter_utility_id_kind_recipient_occasion_key UNIQUE (utility_id, kind, recipient, occasion),
  CONSTRAINT letter_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT letter_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id)
);
CREATE TABLE sync (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  profile TEXT DEFAULT '' NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  finished_at TIMESTAMP WITH TIME ZONE,
  outcome TEXT,
  told JSONB DEFAULT '{}' NOT NULL,
  CONSTRAINT sync_pkey PRIMARY KEY (id),
  CONSTRAINT sync_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE INDEX sync_good ON sync (utility_id, profile, id) WHERE outcome in ('applied', 'partly', 'unchanged');
CREATE INDEX sync_utility_id_name_id_idx ON sync (utility_id, name, id);

CREATE INDEX submission_login ON submission (utility_id, (envelope ->> 'login'), id) WHERE (envelope ->> 'login') <> '';
alter table meter_reading add column source text default '' not null, add column hold_until timestamp with time zone;
create index meter_reading_held on meter_reading (hold_until) where status = 'accepted' and same_as is null;
create index meter_reading_in_review on meter_reading (utility_id, id) where status = 'needs_review';

-- Something taken back, or handed in after it was saved, is not in the way of the same bytes once more.
drop index submission_fingerprint;
create unique index submission_fingerprint on submission (utility_id, fingerprint)
  where status not in ('rejected', 'withdrawn', 'superseded');

-- What a person lets pass is compared once more with what is believed by then.
grant update (value, previous, consumption) on reading to metergate_app, metergate_worker;

alter table register add column season numeric[], add column estimated smallint default 0 not null;

grant select, insert, update on link, hidden_meter, letter, sync to metergate_app, metergate_worker;
grant delete on external_id to metergate_app, metergate_worker;
grant usage on all sequences in schema public to metergate_app, metergate_worker;

do $$
declare t text;
begin
  foreach t in array array['link', 'hidden_meter', 'letter', 'sync']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy utility_wall on %I to metergate_app using (utility_id = nullif(current_setting(''metergate.utility'', true), '''')::int)', t);
    execute format('create policy every_utility on %I to metergate_worker using (true)', t);
  end loop;
end $$;
