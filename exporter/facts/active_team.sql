-- A team as it stood at `to_at`, for each tool in which one of its accounts is or was active.
-- rows: instant
-- placed by: active_at
-- from: account_facts
create or replace temp macro active_team_facts(since, from_at, to_at) as table
select null::varchar as source, tool || ':' || team as id, null::varchar as url, to_at as moment, null::timestamp as until,
  last.business_unit, last.region, last.cohort, tool, team, active_at
from (
  -- Of accounts active at the same instant (days of work all end at midnight) always the same one.
  -- Whichever source its accounts come from, it is one team.
  select tool, team, max(active_at) as active_at,
    arg_max({'business_unit': business_unit, 'region': region, 'cohort': cohort}, (active_at, source, id)) as last
  from account_facts(since, to_at, to_at)
  where enabled and team is not null and active_at is not null
  group by tool, team
);
