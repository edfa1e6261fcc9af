-- Added columns with a constant default rewrite no table.
alter table credential add column login text;
alter table credential add constraint credential_login_key unique (login);
alter table meter_reading add column intervals boolean default false not null;
alter table reading add column volume boolean default false not null;

CREATE TABLE interval_register (
  id INTEGER GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  meter_id BIGINT NOT NULL,
  code TEXT NOT NULL,
  step TEXT NOT NULL,
  CONSTRAINT interval_register_pkey PRIMARY KEY (id),
  CONSTRAINT interval_register_meter_id_code_step_key UNIQUE (meter_id, code, step),
  CONSTRAINT interval_register_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
);
CREATE TABLE interval_source (
  id INTEGER GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  meter_reading_id UUID NOT NULL,
  CONSTRAINT interval_source_pkey PRIMARY KEY (id),
  CONSTRAINT interval_source_meter_reading_id_key UNIQUE (meter_reading_id)
);
CREATE TABLE interval_block (
  utility_id INTEGER NOT NULL,
  register_id INTEGER NOT NULL,
  day DATE NOT NULL,
  source_id INTEGER NOT NULL,
  values NUMERIC[] NOT NULL,
  quality SMALLINT[],
  CONSTRAINT interval_block_pkey PRIMARY KEY (register_id, day)
);
CREATE TABLE interval_history (
  utility_id INTEGER NOT NULL,
  register_id INTEGER NOT NULL,
  day DATE NOT NULL,
  source_id INTEGER NOT NULL,
  values NUMERIC[] NOT NULL,
  quality SMALLINT[],
  replaced_by INTEGER NOT NULL,
  replaced_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT interval_history_pkey PRIMARY KEY (register_id, day, source_id)
);
CREATE TABLE drop_file (
  utility_id INTEGER NOT NULL,
  credential_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  submission_id UUID NOT NULL,
  told BYTEA,
  closed BOOLEAN DEFAULT false NOT NULL,
  taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT drop_file_pkey PRIMARY KEY (credential_id, name, submission_id),
  CONSTRAINT drop_file_credential_id_fkey FOREIGN KEY(credential_id) REFERENCES credential (id),
  CONSTRAINT drop_file_submission_id_fkey FOREIGN KEY(submission_id) REFERENCES submission (id)
);
CREATE INDEX drop_file_open ON drop_file (credential_id) WHERE not closed;

grant select, insert, update on interval_register, interval_source, interval_block, drop_file to metergate_app, metergate_worker;
grant select, insert on interval_history to metergate_app, metergate_worker;
grant usage on all sequences in schema public to metergate_app, metergate_worker;

do $$
declare t text;
begin
  foreach t in array array['interval_register', 'interval_source', 'interval_block', 'interval_history', 'drop_file']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy utility_wall on %I to metergate_app using (utility_id = nullif(current_setting(''metergate.utility'', true), '''')::int)', t);
    execute format('create policy every_utility on %I to metergate_worker using (true)', t);
  end loop;
end $$;

-- Who a login is must be known before its utility is, as with a key: this function looks over the wall for one login.
create function credentials_of_login(name text) returns setof credential
  language sql stable security definer set search_path = public, pg_temp
  as $$ select * from credential where login = name $$;
revoke all on function credentials_of_login(text) from public;
grant execute on function credentials_of_login(text) to metergate_app, metergate_worker;
