-- An opportunity as it stood at `moment`.
-- rows: interval
-- placed by: ended_at
-- from: opportunity
-- money: amount
-- looks back: nothing
create or replace temp macro opportunity_facts(since, from_at, to_at) as table
with moments as (
  select *, least(lead_at, contacted_at, booked_at, attended_at, qualified_at, won_at, lost_at) as begin_at,
    [begin_at, won_at, lost_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from opportunity where coalesce(greatest(won_at, lost_at), to_at) >= since
),
stood as (
  -- What was lost and won back is won: the later of two ends counts, and of two at once the win.
  select *, case when won_at <= moment then won_at end as win_at, case when lost_at <= moment then lost_at end as loss_at,
    greatest(win_at, loss_at) as end_at
  from moments where begin_at <= moment
)
select source, id, url, moment, least(next_moment(moment, turns), out_of_sight(end_at, since, from_at)) as until,
  team, business_unit, region, cohort, channel, automated, currency, amount,
  lead_at,
  end_at as ended_at,
  end_at is not null as ended,
  ended and coalesce(end_at = win_at, false) as won,
  not ended as open,
  case when won then epoch(win_at - lead_at) end as cycle_seconds
from stood
where coalesce(end_at, to_at) >= since;
