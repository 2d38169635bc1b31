// Made by `outcome-exporter render`; do not edit.
{
  'any-kpi.json': importstr '../../dashboards/any-kpi.json',
  'bookings.json': importstr '../../dashboards/bookings.json',
  'core-operations.json': importstr '../../dashboards/core-operations.json',
  'engineering.json': importstr '../../dashboards/engineering.json',
  'executive.json': importstr '../../dashboards/executive.json',
  'exporter-health.json': importstr '../../dashboards/exporter-health.json',
  'roi-review.json': importstr '../../dashboards/roi-review.json',
  'rollout.json': importstr '../../dashboards/rollout.json',
  'service-desk.json': importstr '../../dashboards/service-desk.json',
  'support-automation.json': importstr '../../dashboards/support-automation.json',
}
