"""How far back to read a list, and whether it is still the same list as before.

The highest id is not believed alone: one absurd id would carry it away for ever, and a platform that is set up anew, or
restored from a backup, gives old ids to new things. So the newest items are remembered, and are to be found again.
"""

from collections.abc import Mapping

from exporter.base.errors import StartOver

WITNESSES = 10
MOST_FOUND = 1_000

Stamps = Mapping[str, str | None]
"""Items by id, each with something about it that never changes; None where there is nothing of the kind yet."""


def still_there(known: Stamps, listed: Stamps, what: str, cursor: Mapping[str, object]) -> None:
    """StartOver, at `cursor`, where of the items known most are gone, or have become others under the same ids."""
    left = sum(key in listed and listed[key] == stamp for key, stamp in known.items())
    if 2 * left < len(known):
        raise StartOver(
            f"of the {len(known)} newest {what} read before, {len(known) - left} are gone or changed, as after a"
            " restore, a new installation or a clean-up; everything is read again, and what is stored is kept",
            cursor,
        )


class Recent:
    """The newest items of a list that is in order of numeric ids: as known from the last poll, and as found by this.

    `depth`: so many items are read again at every poll. `floor`: what has a lower id is not.
    """

    def __init__(self, known: Stamps, depth: int) -> None:
        self.known, self.depth = {int(key): stamp for key, stamp in known.items()}, max(depth, 1)
        self.found: dict[int, str | None] = {}
        self.floor = min(self.known, default=0)
        if len(self.known) < depth:  # a short list: what is added late may stand below all of it
            self.floor = max(0, self.floor - depth)

    def saw(self, key: int, stamp: str | None) -> None:
        self.found[key] = stamp
        if len(self.found) > 3 * self.depth + MOST_FOUND:  # of a long list only what will be asked for
            self.found = {key: self.found[key] for key in {*self._newest(), *(self.known.keys() & self.found)}}

    def check(self, what: str, cursor: Mapping[str, object]) -> None:
        """Once all down to the floor was seen: is it still the list it was?"""
        newest = [key for key in sorted(self.known, reverse=True) if self.known[key] is not None][:WITNESSES]
        found = {str(key): stamp for key, stamp in self.found.items()}
        still_there({str(key): self.known[key] for key in newest}, found, what, cursor)

    def stamps(self) -> Stamps:
        """What the cursor is to hold."""
        return {str(key): self.found[key] for key in self._newest()}

    def _newest(self) -> list[int]:
        return sorted(self.found, reverse=True)[: self.depth]
