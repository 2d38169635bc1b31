"""Reports: a decision memo of a calendar period for one kind of reader. `report()` makes it, `render()` writes it."""
