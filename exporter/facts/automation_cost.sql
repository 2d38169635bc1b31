-- What automation costs, cut where spans meet. Shared cost, which serves no workflow with a claim, is allocated to claims
-- by what the runs of the same span of time are worth by the configured rule; where there are none, it stays shared.
-- rows: instant
-- placed by: span_end
-- from: cost_facts, run_facts, workflow_settings, spans
-- params: shared_cost general
-- money: spent
-- shows: workflow, allocated_by
create or replace temp macro automation_cost_facts(since, from_at, to_at) as table
with paid as (
  select *, row_number() over () as nth from cost_facts(since, from_at, to_at)
  -- Labour of no workflow is that of people who answer requests.
  where handled_by <> 'human'
),
served as (
  select span_end, team, business_unit, region, cohort, workflow, claim,
    -- A value is of one currency, and so is the cost that it carries.
    case when getvariable('shared_cost') = 'value' then currency end as of_currency,
    sum(case getvariable('shared_cost') when 'runs' then 1 when 'time_saved' then saved_seconds
      when 'value' then saved_seconds * rate_per_second end) as weight
  from (select * exclude (claim) from run_facts(since, to_at, to_at))
  join (select workflow, claim from workflow_settings where claim is not null) using (workflow)
  join spans on ended_at > span_begin and ended_at <= span_end
  where getvariable('shared_cost') <> 'none' and ended
  group by all
  having weight > 0
)
select source, id, url, moment, null::timestamp as until, coalesce(paid.team, served.team) as team,
  coalesce(paid.business_unit, served.business_unit) as business_unit, coalesce(paid.region, served.region) as region,
  coalesce(paid.cohort, served.cohort) as cohort, coalesce(paid.workflow, served.workflow) as workflow, service, kind,
  currency, paid.span_end, coalesce(paid.claim, served.claim) as claim,
  case when weight is not null then getvariable('shared_cost') end as allocated_by,
  share * coalesce(weight / sum(weight) over of_one, 1) as share, spent * coalesce(weight / sum(weight) over of_one, 1) as spent
-- To the runs of its own team, workflow and so on, as far as the cost has them.
from paid left join served on paid.claim is null and paid.span_end = served.span_end
  and coalesce(paid.team = served.team, paid.team is null)
  and coalesce(paid.business_unit = served.business_unit, paid.business_unit is null)
  and coalesce(paid.region = served.region, paid.region is null)
  and coalesce(paid.cohort = served.cohort, paid.cohort is null)
  and paid.workflow is null and (of_currency is null or currency = of_currency)
window of_one as (partition by nth);
