-- A booking as it stood at `moment`.
-- rows: interval
-- placed by: first_response_at, booked_at, starts_at
-- from: booking
-- money: value
-- looks back: nothing
create or replace temp macro booking_facts(since, from_at, to_at) as table
with moments as (
  select *, [first_response_at, booked_at, starts_at, cancelled_at] as turns, unnest(moments(from_at, to_at, turns)) as moment
  from booking where greatest(first_response_at, booked_at, starts_at) >= since
),
stood as (
  -- What was cancelled after its start was a booking like any other until then.
  select * replace (
      case when first_response_at <= moment then first_response_at end as first_response_at, case when booked_at <= moment then booked_at end as booked_at),
    coalesce(starts_at <= moment, false) as booked, booked and coalesce(cancelled_at <= moment, true) as settled
  from moments
)
select source, id, url, moment, next_moment(moment, turns) as until,
  team, business_unit, region, cohort, channel, meeting_type, automated, currency,
  requested_at, first_response_at, booked_at, starts_at,
  booked,
  outcome is not null as outcome_told,
  booked and coalesce(outcome = 'attended', false) as attended,
  booked and coalesce(outcome = 'no_show', false) as no_show,
  settled and coalesce(outcome = 'rescheduled', false) as rescheduled,
  settled and coalesce(outcome = 'cancelled', false) as cancelled,
  conflict,
  value,
  epoch(first_response_at - requested_at) as response_seconds,
  epoch(booked_at - requested_at) as booking_seconds
from stood;
