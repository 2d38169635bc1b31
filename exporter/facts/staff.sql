-- How many people work full time on the requests of a team: its configured capacity of a week over five days of `person_day`.
-- rows: constant
-- from: team_settings
-- params: person_day general
create or replace temp macro staff_facts(since, from_at, to_at) as table
select null::varchar as source, team as id, null::varchar as url, to_at as moment, null::timestamp as until, team,
  capacity_seconds_per_week / (5 * getvariable('person_day_seconds')) as staff
from team_settings where capacity_seconds_per_week > 0;
