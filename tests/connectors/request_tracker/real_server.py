"""A real Request Tracker, as Debian packages it, with SQLite in a folder of its own. Nothing outside it is touched."""

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.connectors.process import finished, running, until

SHARE = Path("/usr/share/request-tracker5")
SERVER = SHARE / "libexec" / "rt-server"
SETUP = Path("/usr/sbin/rt-setup-database-5")

CONFIG = """
Set($rtname, 'test'); Set($Organization, 'example.test'); Set($Timezone, 'UTC');
Set($CorrespondAddress, 'rt@example.test'); Set($CommentAddress, 'rt-comment@example.test');
Set($DatabaseType, 'SQLite'); Set($DatabaseName, 'FOLDER/rt.sqlite');
Set($DatabaseHost, ''); Set($DatabaseUser, ''); Set($DatabasePassword, '');
Set($WebDomain, '127.0.0.1'); Set($WebPort, PORT); Set($WebPath, ''); Set($WebBaseURL, 'http://127.0.0.1:PORT');
Set($MailCommand, 'testfile'); Set($LogToSyslog, undef); Set($LogToFile, undef); Set($LogToSTDERR, 'error');
$RT::VarPath = 'FOLDER/var'; $RT::MasonDataDir = 'FOLDER/mason'; $RT::MasonSessionDir = 'FOLDER/session';
1;
"""

DATA = """
@Queues = map { { Name => $_ } } qw(Support IT HR);
@Users = map { { Name => $_, EmailAddress => "$_\\@example.test", Privileged => 1, Password => 'password' } }
  qw(alice bob autobot exporter);
$_->{Timezone} = 'Pacific/Kiritimati' for grep { $_->{Name} eq 'exporter' } @Users;
@CustomFields = map { { Name => $_, Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', ApplyTo => 0 } }
  qw(Channel CSAT);
for my $user (qw(alice bob autobot)) {
  push @ACL, { UserId => $user, Right => $_ } for qw(ShowTicket SeeQueue ShowTicketComments SeeCustomField ReplyToTicket
    CommentOnTicket ModifyTicket OwnTicket TakeTicket DeleteTicket ModifyCustomField CreateTicket);
}
for my $queue (qw(Support IT)) {
  push @ACL, { UserId => 'exporter', Queue => $queue, Right => $_ }
    for qw(ShowTicket SeeQueue ShowTicketComments SeeCustomField);
}
push @ACL, { GroupDomain => 'SystemInternal', GroupType => 'Everyone', Right => $_ } for qw(CreateTicket ReplyToTicket);
1;
"""

TOKEN = """
use lib 'SHARE/lib'; use RT -init;
my $user = RT::User->new(RT->SystemUser); $user->Load('exporter');
my ($ok, $text, $token) = RT::AuthToken->new(RT->SystemUser)->Create(Owner => $user->id, Description => 'exporter');
open my $file, '>', 'FOLDER/token' or die; print $file $token; close $file;
"""


def missing() -> str | None:
    """Why it cannot be run here."""
    if not SERVER.is_file() or not SETUP.is_file():
        return "Request Tracker is not installed; Debian: request-tracker5 rt5-standalone rt5-db-postgresql"
    if subprocess.run(["perl", "-MDBD::SQLite", "-e", "1"], capture_output=True, check=False).returncode:
        return "Perl's SQLite driver is not installed; Debian: libdbd-sqlite3-perl"
    return None


@dataclass
class Tracker:
    """The server, and people working with it."""

    url: str
    token: str
    http: aiohttp.ClientSession

    async def act(self, who: str, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Something a person or bot does."""
        headers = {"Authorization": aiohttp.encode_basic_auth(who, "password")}
        async with self.http.request(method, f"{self.url}/REST/2.0/{path}", json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            assert response.status in (200, 201), f"{method} {path}: {response.status} {answer}"
            return answer

    async def create(self, requestor: str, queue: str = "Support", **columns: Any) -> str:
        body = {"Queue": queue, "Subject": "made up", "Requestor": requestor, **columns}
        return str((await self.act("root", "POST", "ticket", body))["id"])

    async def say(self, who: str, ticket: str, how: str = "correspond", minutes: int = 0) -> None:
        body = {"Content": "made up", "ContentType": "text/plain", "TimeTaken": minutes}
        await self.act(who, "POST", f"ticket/{ticket}/{how}", body)

    async def set(self, who: str, ticket: str, **columns: Any) -> None:
        await self.act(who, "PUT", f"ticket/{ticket}", columns)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Tracker]:
    """Set up and started: about ten seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (folder / "config").mkdir()
    for name in ("var", "mason", "session"):
        (folder / name).mkdir()
    for name, text in {"config/rt.pm": CONFIG, "data.pl": DATA, "token.pl": TOKEN}.items():
        filled = text.replace("FOLDER", str(folder)).replace("PORT", port).replace("SHARE", str(SHARE))
        (folder / name).write_text(filled)
    environment = {"RT_SITE_CONFIG_DIR": str(folder / "config")}
    await finished([SETUP, "--action", "init", "--skip-create"], folder, environment)
    await finished([SETUP, "--action", "insert", "--datafile", folder / "data.pl"], folder, environment)
    await finished(["perl", folder / "token.pl"], folder, environment)
    command: list[str | Path] = ["perl", SERVER, "--host", "127.0.0.1", "--port", port, "--max-workers", "2"]
    async with running(command, folder / "log", environment), aiohttp.ClientSession() as http:
        tracker = Tracker(f"http://127.0.0.1:{port}", (folder / "token").read_text(), http)

        async def answers() -> bool:
            try:
                return bool(await tracker.act("root", "GET", "rt", {}))
            except aiohttp.ClientConnectionError:
                return False

        try:
            await until(answers, 30, "Request Tracker starts")
            yield tracker
        finally:
            shutil.rmtree(folder / "mason", ignore_errors=True)
