"""What the sources of one account share: the credential, and the limits on requests."""

from collections.abc import Collection
from urllib.parse import urlsplit

from exporter.collect.auth import Auth, Grant
from exporter.collect.budget import Pace
from exporter.collect.credential import Credential


class Account:
    """One credential on one host."""

    def __init__(self, auth: Auth | Grant) -> None:
        self.credential = Credential(auth)
        self.overall = Pace()
        self._paces: dict[str, Pace] = {}

    def pace(self, name: str) -> Pace:
        """The pace of a budget by its name."""
        return self._paces.setdefault(name, Pace())


class Accounts:
    """The accounts of one process."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, Auth | Grant], Account] = {}

    def of(self, url: str, auth: Auth | Grant) -> Account:
        """The account that is meant by an address and who asks there: the same for every source of it."""
        return self._accounts.setdefault(_key(url, auth), Account(auth))

    def keep(self, known: Collection[tuple[str, Auth | Grant]]) -> None:
        """Forgets all but these."""
        keys = {_key(url, auth) for url, auth in known}
        self._accounts = {key: account for key, account in self._accounts.items() if key in keys}

    async def settle(self) -> None:
        """Waits for exchanges of tokens that are under way."""
        for account in list(self._accounts.values()):
            await account.credential.settle()


def _key(url: str, auth: Auth | Grant) -> tuple[str, Auth | Grant]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower(), auth
