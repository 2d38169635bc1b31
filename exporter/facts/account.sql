-- An account as it stood at `moment`, with its last sign of activity known by then.
-- rows: interval
-- placed by: first_success_at, due_at, active_at
-- from: account, activity
-- params: activation_window shared in due_at, due, activated
-- params: stale_after shared in stale
-- changes: week = case when date_trunc('week', granted_at) >= since then week end
create or replace temp macro account_facts(since, from_at, to_at) as table
with active_days as (
  -- A day of work is known when it is over; until then its figures are still growing. Of the days before `from_at` the last one is enough.
  select tool, person, max(day + interval 1 day) as day_end_at
  from activity where tasks_done > 0 and day + interval 1 day <= to_at
  group by tool, person, greatest(day + interval 1 day, from_at)
),
worked as (
  select tool, person, list(day_end_at) as day_ends from active_days group by all
),
turned as (
  select a.*,
    granted_at + to_seconds(getvariable('activation_window_seconds')) as due_at,
    getvariable('stale_after_seconds') as stale_seconds,
    list_concat([granted_at, first_success_at, last_active_at, due_at], coalesce(day_ends, [])) as signs,
    list_concat(signs, list_transform(signs, lambda t: t + to_seconds(stale_seconds))) as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from account a left join worked using (tool, person)
),
stood as (
  select t.*,
    greatest(case when last_active_at <= moment then last_active_at end, case when first_success_at <= moment then first_success_at end,
      day_end_at) as seen_at,
    -- Where nobody knows since when an account is there, it is there.
    coalesce(granted_at <= moment, true) as granted
  from turned t asof left join active_days d on t.tool = d.tool and t.person = d.person and t.moment >= d.day_end_at
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, tool,
  granted_at, case when first_success_at <= moment then first_success_at end as first_success_at, seen_at as active_at, due_at,
  granted and not coalesce(disabled, false) as enabled,
  -- Weeks that began before the longest window are too old to be followed, and a part of a week would be another week.
  case when granted_at <= moment and date_trunc('week', granted_at) >= since then strftime(granted_at, '%G-W%V') end as week,
  coalesce(due_at <= moment, false) as due,
  coalesce(first_success_at <= least(due_at, moment), false) as activated,
  coalesce(seen_at, granted_at) as idle_since_at,
  case when idle_since_at <= moment then idle_since_at + to_seconds(stale_seconds) <= moment end as stale,
  mfa, privileged, shared, client_outdated,
  case when first_success_at <= moment then epoch(first_success_at - granted_at) end as value_seconds
from stood;
