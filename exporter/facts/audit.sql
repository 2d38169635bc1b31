-- An event that matters to security.
-- rows: interval
-- placed by: occurred_at
-- from: audit
-- looks back: nothing
create or replace temp macro audit_facts(since, from_at, to_at) as table
with moments as (
  select *, [occurred_at] as turns, unnest(moments(from_at, to_at, turns)) as moment from audit where occurred_at >= since
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, kind, occurred_at,
  occurred_at <= moment as occurred,
  coalesce(attributable, false) as attributable
from moments;
