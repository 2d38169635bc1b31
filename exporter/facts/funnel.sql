-- A handoff in the funnel of opportunities, as it stood at `moment`: a row for each stage reached that has a next one.
-- It is placed by the time of the stage `from`.
-- rows: interval
-- placed by: reached_at
-- from: opportunity
-- looks back: nothing
create or replace temp macro funnel_facts(since, from_at, to_at) as table
with stages as (
  select *, unnest([
    {'from': 'lead', 'to': 'contacted', 'reached_at': lead_at, 'later': [contacted_at, booked_at, attended_at, qualified_at, won_at]},
    {'from': 'contacted', 'to': 'booked', 'reached_at': contacted_at, 'later': [booked_at, attended_at, qualified_at, won_at]},
    {'from': 'booked', 'to': 'attended', 'reached_at': booked_at, 'later': [attended_at, qualified_at, won_at]},
    {'from': 'attended', 'to': 'qualified', 'reached_at': attended_at, 'later': [qualified_at, won_at]},
    {'from': 'qualified', 'to': 'won', 'reached_at': qualified_at, 'later': [won_at]}
  ]) as stage
  from opportunity where greatest(lead_at, contacted_at, booked_at, attended_at, qualified_at) >= since
),
moments as (
  -- Who was met without having been booked had got past the booking: any later stage shows that this one was left.
  select *, stage.reached_at as reached_at, list_min(stage.later) as next_at,
    [reached_at, next_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from stages where stage.reached_at >= since
)
select source, id || ':' || stage['from'] as id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, channel, automated,
  stage['from'] as "from",
  stage['to'] as "to",
  reached_at,
  reached_at <= moment as reached,
  coalesce(next_at <= moment, false) as converted
from moments;
