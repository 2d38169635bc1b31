"""Changes that change no meaning, each with its reason. One that a test notices does not belong here."""

from collections.abc import Mapping

LESS = "asked only so that less is sent: the mapping leaves these out by itself"
LOOKED_INTO = "`sound` looks into it anyway"
FINISHED = 'finished_at=value("finished_at", instant, attempt.ended_at),'
OTHERS = ("queued_at", "started_at", "timestamp", "updated_at")
READ_BEFORE = "an end that cannot be read does not come so far: `sound` or the order of the states has read it before"
WORKED = 'minutes = value("human_seconds", int, ticket["TimeWorked"] or 0)'
BY_NAME = "the config's mapping finds an element of RT's own list by its name, too"
FALSE = "the whole number of False is 0"
SHAPE = "it tells editors the form of a name, which `owned` checks"
SHAPED = (
    'Name = Annotated[str, AfterValidator(owned), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]'
)
NAMED = "where it is read, the column is named once more"

AT_ONCE = "tells only how many rows are held at once"

UNNAMED = "a run that no line names is never found, so nothing is asked about it"
NAMES_RUN = 'if dag_id and run_id and (state or its in ("clear", "delete", "answer")):'
HAS_NAMES = "dag_id and run_id and (state or its in ('clear', 'delete', 'answer')) without"

EQUIVALENT: Mapping[str, Mapping[str, str]] = {
    "airflow.mapping": {
        "\"dagrun_queued\": \"state\", | 'dagrun_queued' and 'bulk_task_instances' swapped": "queued is cleared",
        f"{NAMES_RUN} | {HAS_NAMES} dag_id": UNNAMED,
        f"{NAMES_RUN} | {HAS_NAMES} run_id": UNNAMED,
    },
    "files.parquet_file": {
        'NESTED = ("[]", ")")  # how the types of lists, and of structs and maps, end | without \'[]\'': AT_ONCE,
        'NESTED = ("[]", ")")  # how the types of lists, and of structs and maps, end | without \')\'': AT_ONCE,
    },
    "github": {
        f"{SHAPED} | without 'type'": SHAPE,
        f"{SHAPED} | without 'pattern'": SHAPE,
        f"{SHAPED} | 'type' and 'pattern' swapped": SHAPE,
    },
    "github.mapping": {
        "if requested_at and now - requested_at > LONGEST_APPROVAL:"
        " | requested_at and now - requested_at > LONGEST_APPROVAL without requested_at": "it is there in sound items",
    },
    "jira.mapping": {
        "table = Words(\"severity\", lowered(SEVERITY, options.severities)) | 'severity' is 'pondering'": NAMED,
    },
    "pagerduty.account": {
        'REFERENCE = {"id", "summary"}  # what is sent anyway | without \'id\'': LESS,
        'REFERENCE = {"id", "summary"}  # what is sent anyway | without \'summary\'': LESS,
    },
    "pagerduty.mapping": {
        "known = Words(\"severity\", {**SEVERITIES, **own}) | 'severity' is 'pondering'": NAMED,
    },
    "prefect": {
        'TOP_LEVEL = {"parent_task_run_id": {"is_null_": True}} | without \'parent_task_run_id\'': LESS,
        'TOP_LEVEL = {"parent_task_run_id": {"is_null_": True}} | without \'is_null_\'': LESS,
        '"name": {"not_any_": ["Scheduled"]}, | without \'name\'': LESS,
        '"name": {"not_any_": ["Scheduled"]}, | without \'not_any_\'': LESS,
        '"name": {"not_any_": ["Scheduled"]}, | without \'Scheduled\'': LESS,
    },
    "prefect.mapping": {
        "\"id\", | without 'id'": LOOKED_INTO,
        "\"state\", | without 'state'": LOOKED_INTO,
        "\"run_count\", | without 'run_count'": LOOKED_INTO,
        "\"end_time\", | without 'end_time'": LOOKED_INTO,
        **dict.fromkeys((f"{FINISHED} | 'finished_at' read from '{other}'" for other in OTHERS), READ_BEFORE),
    },
    "request_tracker.mapping": {
        f"{WORKED} | ticket['TimeWorked'] or 0 without 0": FALSE,
        "return Read(request(words, item), item | {\"CustomFields\": fields}) | 'CustomFields' is 'pondering'": BY_NAME,
    },
}
"""Module below exporter.connectors -> line and change (see `Mutant.name`) -> why nothing is another for it."""
