alter table register add column before_at timestamp with time zone, add column daily numeric;
