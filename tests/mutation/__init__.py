"""Changes the connectors' code, one place at a time, and looks whether a test says so: `make mutation`."""
