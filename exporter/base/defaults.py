"""What the command line names before anything is loaded: this module imports nothing, so that `--help` is quick."""

LISTEN = "127.0.0.1:10042"
MOST_CONNECTIONS = 512  # as Prometheus has it
SIZE = 50  # records on a page of an explanation
