-- How many people a team has, where it is configured.
create or replace temp macro head_count_facts(since, from_at, to_at) as table
select null::varchar as source, team as id, null::varchar as url, to_at as moment, null::timestamp as until,
  team, people
from team_settings
where people is not null;
