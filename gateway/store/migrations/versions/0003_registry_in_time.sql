CREATE TABLE branch (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  code TEXT NOT NULL,
  key TEXT NOT NULL,
  title TEXT DEFAULT '' NOT NULL,
  CONSTRAINT branch_pkey PRIMARY KEY (id),
  CONSTRAINT branch_utility_id_key_key UNIQUE (utility_id, key),
  CONSTRAINT branch_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE TABLE party (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  code TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  tax_number TEXT DEFAULT '' NOT NULL,
  emails TEXT[] DEFAULT '{}' NOT NULL,
  window_day SMALLINT,
  CONSTRAINT party_pkey PRIMARY KEY (id),
  CONSTRAINT party_utility_id_key_key UNIQUE (utility_id, key),
  CONSTRAINT party_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);

alter table agreement
  add column party_id bigint,
  add column branch_id bigint,
  add column emails text[] default '{}' not null,
  add column signed_on date,
  add column closed_on date,
  add column price_category smallint,
  add column window_day smallint,
  add constraint agreement_party_id_fkey foreign key (party_id) references party (id),
  add constraint agreement_branch_id_fkey foreign key (branch_id) references branch (id);
create index agreement_party_id_idx on agreement (party_id);

-- A party was a name beside its agreement; a name is now the code of a party until the registry tells another one.
insert into party (utility_id, code, key, name)
select distinct on (utility_id, upper(party)) utility_id, party, upper(party), party from agreement where party <> '' order by utility_id, upper(party);
update agreement a set party_id = p.id from party p where p.utility_id = a.utility_id and p.key = upper(a.party);
alter table agreement drop column party;

alter table service_location
  add column address text default '' not null,
  add column max_power numeric,
  add column voltage text default '' not null,
  add column grid_company text default '' not null,
  add column boundary text default '' not null;
alter table usage_point add column service text default '' not null, add column closed_on date;

CREATE TABLE point_terms (
  utility_id INTEGER NOT NULL,
  usage_point_id BIGINT NOT NULL,
  since DATE NOT NULL,
  ratio_current NUMERIC DEFAULT 1 NOT NULL,
  ratio_voltage NUMERIC DEFAULT 1 NOT NULL,
  losses NUMERIC DEFAULT 0 NOT NULL,
  losses_constant NUMERIC DEFAULT 0 NOT NULL,
  CONSTRAINT point_terms_pkey PRIMARY KEY (usage_point_id, since),
  CONSTRAINT point_terms_usage_point_id_fkey FOREIGN KEY(usage_point_id) REFERENCES usage_point (id)
);
-- Ratio and losses stood at the meter and belong to the point (product.md, section 0); of two meters at a point the younger one knows.
insert into point_terms (utility_id, usage_point_id, since, ratio_current, losses)
select distinct on (usage_point_id) utility_id, usage_point_id, date '1900-01-01', ratio, losses from meter order by usage_point_id, id desc;
alter table meter
  drop column ratio,
  drop column losses,
  add column model text default '' not null,
  add column installed_on date,
  add column removed_on date,
  add column admitted_on date,
  add column verified_on date,
  add column verify_by date;
alter table register add column initial numeric, add column final numeric;

CREATE TABLE circuit (
  utility_id INTEGER NOT NULL,
  meter_id BIGINT NOT NULL,
  number SMALLINT NOT NULL,
  scheme TEXT NOT NULL,
  CONSTRAINT circuit_pkey PRIMARY KEY (meter_id, number),
  CONSTRAINT circuit_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
);
CREATE TABLE billing_period (
  utility_id INTEGER NOT NULL,
  agreement_id BIGINT NOT NULL,
  code TEXT NOT NULL,
  starts DATE NOT NULL,
  ends DATE NOT NULL,
  closed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT billing_period_pkey PRIMARY KEY (agreement_id, code),
  CONSTRAINT billing_period_agreement_id_fkey FOREIGN KEY(agreement_id) REFERENCES agreement (id)
);
CREATE TABLE external_id (
  utility_id INTEGER NOT NULL,
  system TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  code TEXT NOT NULL,
  entity_id BIGINT NOT NULL,
  CONSTRAINT external_id_pkey PRIMARY KEY (utility_id, system, kind, key),
  CONSTRAINT external_id_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id)
);
CREATE INDEX external_id_kind_entity_id_idx ON external_id (kind, entity_id);
CREATE TABLE entry_status (
  utility_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  entity_id BIGINT NOT NULL,
  period TEXT NOT NULL,
  status TEXT NOT NULL,
  told_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT entry_status_pkey PRIMARY KEY (kind, entity_id, period)
);

grant select, insert, update on branch, party, point_terms, circuit, billing_period, external_id, entry_status to metergate_app, metergate_worker;
grant usage on all sequences in schema public to metergate_app, metergate_worker;

do $$
declare t text;
begin
  foreach t in array array['branch', 'party', 'point_terms', 'circuit', 'billing_period', 'external_id', 'entry_status']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy utility_wall on %I to metergate_app using (utility_id = nullif(current_setting(''metergate.utility'', true), '''')::int)', t);
    execute format('create policy every_utility on %I to metergate_worker using (true)', t);
  end loop;
end $$;
