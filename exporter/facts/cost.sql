-- A cost, cut where spans meet: the share of it that falls into each span of time.
-- rows: instant
-- placed by: span_end
-- from: cost, cost_settings, workflow_settings, spans
-- money: spent
create or replace temp macro cost_facts(since, from_at, to_at) as table
with recurring as (
  select *, case per when 'day' then interval 1 day when 'month' then interval 1 month else interval 1 year end as step,
    -- From the beginning of a calendar month (day, year), so that each has its own length.
    unnest(generate_series(date_trunc(per, greatest(begins_at, since)), to_at, step)) as period_start
  from cost_settings where per <> 'once'
),
costs as (
  select source, id, url, team, business_unit, region, cohort, workflow, service, kind, currency, amount, effort_seconds,
    period_start, period_end, period_start as begin_at, period_end as end_at
  from cost
  union all by name
  select 'config' as source, cost as id, team, workflow, service, kind, currency, amount,
    period_start, period_start + step as period_end,
    greatest(period_start, begins_at) as begin_at, least(period_end, ends_at) as end_at
  from recurring where greatest(period_start, begins_at) < least(period_start + step, coalesce(ends_at, 'infinity'))
  union all by name
  select 'config' as source, cost as id, team, workflow, service, kind, currency, amount,
    begins_at as period_start, begins_at as period_end, begins_at as begin_at, begins_at as end_at
  from cost_settings where per = 'once'
),
cut as (
  select *, case when period_end = period_start then 1
    when period_end > period_start then epoch(least(end_at, span_end) - greatest(begin_at, span_begin)) / epoch(period_end - period_start) end as share
  from costs join spans on case when begin_at < end_at then begin_at < span_end and end_at > span_begin
    -- Paid at one instant; or its period is not known, then what is known of it says where it is missed.
    else coalesce(end_at, begin_at) > span_begin and coalesce(end_at, begin_at) <= span_end end
)
select source, id, url, span_end as moment, null::timestamp as until,
  team, business_unit, region, cohort, workflow, service, kind, currency, span_end,
  share,
  amount * share as spent,
  effort_seconds * share as worked_seconds,
  -- Paid once, at one time, and not for a period.
  coalesce(period_end = period_start, false) as one_off,
  -- Which claim of a value a cost stands against: that of its workflow.
  claim,
  -- Whose handling of requests it pays for, as far as it can be said.
  case when workflow is not null then 'automation' when kind = 'labour' then 'human' else 'shared' end as handled_by
from cut left join (select workflow, claim from workflow_settings) using (workflow);
