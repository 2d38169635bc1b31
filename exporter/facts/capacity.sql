-- The working time that a team has in a span of time, where it is configured.
-- rows: instant
-- placed by: span_end
-- from: team_settings, spans
create or replace temp macro capacity_facts(since, from_at, to_at) as table
select null::varchar as source, team as id, null::varchar as url, span_end as moment, null::timestamp as until,
  team, span_end,
  capacity_seconds_per_week * epoch(span_end - span_begin) / epoch(interval 7 day) as capacity_seconds
from team_settings, spans
where capacity_seconds_per_week is not null;
