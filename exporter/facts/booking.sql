-- A booking as it stood at `moment`. Placed by starts_at.
create or replace temp macro booking_facts(since, from_at, to_at) as table
with moments as (
  select *, [starts_at, cancelled_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from booking where starts_at >= since
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, channel, meeting_type, automated, starts_at,
  starts_at <= moment as booked,
  starts_at <= moment and coalesce(outcome = 'attended', false) as attended,
  starts_at <= moment and coalesce(outcome = 'no_show', false) as no_show
from moments;
