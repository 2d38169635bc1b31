"""The tests. Start at test_connectors.py for what a connector must do, at scenarios/ for what the figures mean."""
