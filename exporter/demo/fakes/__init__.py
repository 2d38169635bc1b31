"""Fake platforms: each holds state that a simulation can change while it is served in the real wire format."""
