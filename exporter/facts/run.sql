-- A logical run (all attempts with one root_id) as it stood at `moment`.
-- One row per attempt that was the last known one for a while; earlier attempts have left their marks in it.
-- rows: interval
-- from: run, request, workflow_settings
-- params: run_timeout general
create or replace temp macro run_rows(since, from_at, to_at) as table
with attempts as (
  select r.*, coalesce(root_id, r.id) as root, coalesce(least(queued_at, started_at), finished_at) as begin_at,
    status in ('succeeded', 'failed', 'abandoned', 'cancelled') as over,
    -- A run that ended at an unknown time is placed by the last thing known of it, rather than left out of its own failure rate.
    case when over then coalesce(finished_at, r.updated_at, begin_at) end as end_at,
    to_seconds(coalesce(w.run_timeout_seconds, getvariable('run_timeout_seconds'))) as patience,
    queued_at + patience as queue_timeout_at,
    coalesce(started_at, queued_at) + patience as timeout_at,
    case when coalesce(exception, 'none') = 'none' and status = 'failed' then 'application' else coalesce(exception, 'none') end as fault
  from run r left join workflow_settings w using (workflow)
  where begin_at is not null
),
-- Most logical runs have one attempt, and nothing to be put in order.
repeated as (
  select distinct source, root from attempts where root <> id
),
-- In the order of their numbers where all have one, but for the first, which often has none; else of their begin.
numbered as (
  select *, case when bool_and(attempt is not null or id = root) over whole then coalesce(attempt, 1) end as number
  from attempts semi join repeated using (source, root)
  window whole as (partition by source, root)
),
chained as (
  select *,
    row_number() over in_order as nth,
    -- Where numbers and times disagree too, exactly one attempt is the last that has begun.
    min(begin_at) over later as next_at,
    first_value(started_at) over in_order as first_started_at,
    first_value(queued_at) over in_order as first_queued_at,
    min(end_at) filter (where fault = 'business') over earlier as business_at,
    min(end_at) filter (where fault = 'application') over earlier as application_at,
    min(end_at) filter (where human_override) over earlier as overridden_at,
    min(end_at) filter (where rework) over earlier as reworked_at,
    sum(human_seconds) filter (where end_at is not null) over earlier as helped_before_seconds,
    max(end_at) filter (where human_seconds > 0) over earlier as helped_at
  from numbered
  window in_order as (partition by source, root order by number, begin_at, id),
    earlier as (partition by source, root order by number, begin_at, id rows between unbounded preceding and 1 preceding),
    later as (partition by source, root order by number, begin_at, id rows between 1 following and unbounded following)
  union all by name
  select *, 1 as nth, started_at as first_started_at, queued_at as first_queued_at from attempts anti join repeated using (source, root)
),
-- The time of people on requests that name the run: by its id or root_id, with its source before that ("n8n/1234") where ids are not unique.
tickets as (
  select run_id, list((end_at, human_seconds)) as tickets
  from (
    select run_id, human_seconds, case when outcome = 'abandoned' then coalesce(abandoned_at, resolved_at) else coalesce(resolved_at, abandoned_at) end as end_at
    from request where run_id is not null and human_seconds > 0 and outcome is distinct from 'discarded'
  )
  where end_at is not null group by run_id
),
names as (
  select run_id, null as of_source, run_id as name, tickets from tickets
  union all select run_id, split_part(run_id, '/', 1), substr(run_id, strpos(run_id, '/') + 1), tickets from tickets where contains(run_id, '/')
),
ticketed as (
  select source, root, flatten(list(tickets)) as tickets
  from (
    from (
      select source, root, run_id, tickets from names join attempts on name = id and coalesce(of_source = source, true)
      union select source, root, run_id, tickets from names join attempts on name = root and coalesce(of_source = source, true)
    )
    qualify count(*) over (partition by run_id) = 1
  )
  group by source, root
),
moments as (
  select *,
    list_concat([begin_at, started_at, first_started_at, end_at, queue_timeout_at, timeout_at, next_at,
      business_at, application_at, overridden_at, reworked_at, helped_at], list_transform(tickets, lambda t: t[1])) as turns,
    unnest(moments(from_at, to_at, turns)) as moment
  from chained left join ticketed using (source, root)
  where coalesce(end_at, timeout_at, to_at) >= since or next_at >= since
),
stood as (
  select *, coalesce(end_at <= moment, false) as finished,
    -- What has not started yet waits since it was queued.
    case when started_at > moment then queue_timeout_at else timeout_at end as late_at,
    not finished and coalesce(late_at <= moment, false) as timed_out
  from moments where begin_at <= moment and (next_at is null or moment < next_at)
)
select source, id, url, moment, next_moment(moment, turns) as until, root as root_id,
  team, business_unit, region, cohort, workflow, owner, trigger,
  case when finished then end_at when timed_out then late_at end as ended_at,
  finished, finished and status = 'cancelled' as cancelled,
  ended_at is not null and not cancelled as ended,
  finished and status = 'succeeded' as succeeded,
  finished and status = 'failed' as failed,
  timed_out or (finished and status = 'abandoned') as abandoned,
  nth > 1 or coalesce(attempt, 1) > 1 as retried,
  status is not null as status_told, finished_at is not null as finish_told, exception is not null as exception_told,
  coalesce(attempt::varchar, root_id) is not null as attempt_told,
  human_override is not null as override_told, rework is not null as rework_told,
  coalesce(business_at <= moment, false) or (finished and fault = 'business') as business_exception,
  coalesce(application_at <= moment, false) or (finished and fault = 'application') as application_exception,
  coalesce(overridden_at <= moment, false) or (finished and coalesce(human_override, false)) as overridden,
  coalesce(reworked_at <= moment, false) or (finished and coalesce(rework, false)) as reworked,
  case when finished then nullif(review, 'none') end as review,
  case when finished and finished_at is not null then epoch(finished_at - first_started_at) end as run_seconds,
  case when first_started_at <= moment then epoch(first_started_at - first_queued_at) end as queue_seconds,
  case when helped_at <= moment then helped_before_seconds else 0 end + case when finished then coalesce(human_seconds, 0) else 0 end
    + coalesce(list_sum(list_transform(list_filter(tickets, lambda t: t[1] <= moment), lambda t: t[2])), 0) as helped_seconds
from stood;

-- The same with what a run saves. Manual time is measured over many requests, so it changes while a row holds.
-- rows: interval
-- placed by: ended_at
-- from: run_rows, manual_facts
-- changes: saved_seconds, saved_seconds_high, rate_per_second, currency, claim if workflow_settings.category
-- money: rate_per_second
-- looks back: helped_seconds, saved_seconds, saved_seconds_high, rate_per_second, currency, claim
create or replace temp macro run_facts(since, from_at, to_at) as table
select run.*,
  -- The time of people that a run took is taken off what it saves. One that had to be cleaned up saves nothing, but costs that time.
  case when manual_seconds is null then null when reworked then -helped_seconds
    when succeeded and not overridden then manual_seconds - helped_seconds when ended then 0 end as saved_seconds,
  case when succeeded and not overridden and not reworked then saved_seconds + manual_seconds_high - manual_seconds else saved_seconds end as saved_seconds_high,
  rate_per_second, currency, claim
from run_rows(since, from_at, to_at) run left join (
  select workflow, manual_seconds, manual_seconds_high, rate_per_second, currency, claim from manual_facts(since, from_at, to_at)
) using (workflow);
