ALTER TABLE meter ADD COLUMN max_flow NUMERIC;
CREATE TABLE meter_act (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  utility_id INTEGER NOT NULL,
  meter_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  number TEXT NOT NULL,
  key TEXT NOT NULL,
  first_day DATE NOT NULL,
  last_day DATE,
  told JSONB DEFAULT '{}' NOT NULL,
  note TEXT DEFAULT '' NOT NULL,
  actor TEXT NOT NULL,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  ended_by TEXT DEFAULT '' NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT meter_act_pkey PRIMARY KEY (id),
  CONSTRAINT meter_act_meter_id_kind_key_key UNIQUE (meter_id, kind, key),
  CONSTRAINT meter_act_utility_id_fkey FOREIGN KEY(utility_id) REFERENCES utility (id),
  CONSTRAINT meter_act_meter_id_fkey FOREIGN KEY(meter_id) REFERENCES meter (id)
);

GRANT SELECT, INSERT, UPDATE ON meter_act TO metergate_app, metergate_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO metergate_app, metergate_worker;
ALTER TABLE meter_act ENABLE ROW LEVEL SECURITY;
CREATE POLICY utility_wall ON meter_act TO metergate_app USING (utility_id = nullif(current_setting('metergate.utility', true), '')::int);
CREATE POLICY every_utility ON meter_act TO metergate_worker USING (true);
