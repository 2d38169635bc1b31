-- What automation costs, cut where spans meet. Shared cost, which serves no workflow, is allocated to the workflows that have
-- a claim, by what the runs of the same window are worth by the configured rule; where there are none, it stays shared.
-- rows: instant
-- placed by: span_end
-- from: cost_facts, run_facts, workflow_settings, spans
-- params: shared_cost general
-- money: spent
-- shows: workflow, allocated_by
create or replace temp macro automation_cost_facts(since, from_at, to_at) as table
with paid as (
  -- Labour of no workflow is that of people who answer requests.
  from cost_facts(since, from_at, to_at) where handled_by <> 'human'
),
served as (
  select span_begin, team, business_unit, region, cohort, workflow, claim,
    -- A value is of one currency, and so is the cost that it carries.
    case when getvariable('shared_cost') = 'value' then currency end as of_currency,
    sum(case getvariable('shared_cost') when 'runs' then 1 when 'time_saved' then saved_seconds
      when 'value' then saved_seconds * rate_per_second end) as weight
  from (select * exclude (claim) from run_facts(since, to_at, to_at))
  join (select workflow, claim from workflow_settings where claim is not null) using (workflow)
  join spans on ended_at > span_begin and ended_at <= to_at
  where getvariable('shared_cost') <> 'none' and ended
  group by all
  having weight > 0
),
shared as (
  -- All of a cost that is in a window: what it is allocated to does not depend on other windows.
  select paid.* replace (spans.span_end as span_end), spans.span_begin, row_number() over () as nth
  from paid join spans on paid.span_end >= spans.span_end
  where workflow is null and claim is null and getvariable('shared_cost') <> 'none'
),
allocated as (
  select shared.* replace (coalesce(shared.team, served.team) as team, coalesce(shared.business_unit, served.business_unit) as business_unit,
      coalesce(shared.region, served.region) as region, coalesce(shared.cohort, served.cohort) as cohort,
      served.workflow as workflow, served.claim as claim,
      share * coalesce(weight / sum(weight) over of_one, 1) as share, spent * coalesce(weight / sum(weight) over of_one, 1) as spent),
    case when weight is not null then getvariable('shared_cost') end as allocated_by
  -- To the runs of its own team and so on, as far as the cost has them.
  from shared left join served on shared.span_begin = served.span_begin
    and coalesce(shared.team = served.team, shared.team is null)
    and coalesce(shared.business_unit = served.business_unit, shared.business_unit is null)
    and coalesce(shared.region = served.region, shared.region is null)
    and coalesce(shared.cohort = served.cohort, shared.cohort is null)
    and (of_currency is null or currency = of_currency)
  window of_one as (partition by nth)
),
every as (
  select *, null as allocated_by from paid where workflow is not null or claim is not null or getvariable('shared_cost') = 'none'
  union all by name
  from allocated
  union all by name
  -- A longer window has rows of its own for all of it, so those of the shorter ones are taken back there.
  select * replace (spans.span_end as span_end, -share as share, -spent as spent)
  from allocated join (select span_begin as further, span_end from spans) spans on spans.span_end = allocated.span_begin
)
select source, id, url, span_end as moment, null::timestamp as until, team, business_unit, region, cohort, workflow, service,
  kind, currency, span_end, claim, one_off, allocated_by, share, spent
from every;
