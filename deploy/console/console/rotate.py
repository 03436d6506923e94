"""New keys, tokens and passwords for one organisation while everything runs.

Keys: the new ones are held and known before anybody uses them, and the old ones still open and are still known
(`chassis.rotation`). Tokens: the old ones end a day later. Passwords: RabbitMQ has one for each user, and asks for it
when a connection is opened; those that are open stay, and a service reads its file anew at each connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from chassis import rotation, topology
from chassis.decision import Network
from chassis.private import write_private
from console.folder import Folder, copying, secret_in
from console.links import Links
from console.prepare import HUB_MANAGEMENT, MANAGEMENT

TOKEN_OVERLAP = timedelta(days=1)


class NotRotated(RuntimeError):  # noqa: N818 - errors name the fact
    """Something was not renewed; the text says why, and the next step."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker's management API, as its operator.

    Attributes:
        url: Its address.
        user: The operator.
        password: The operator's password.
    """

    url: str
    user: str
    password: str

    def put(self, path: str, content: Mapping[str, Any]) -> None:
        """Set something.

        Raises:
            NotRotated: The broker cannot be reached, or refuses it.
        """
        try:
            httpx.put(f"{self.url}{path}", json=content, auth=(self.user, self.password), timeout=30).raise_for_status()
        except httpx.HTTPError as error:
            why = f"the broker at {self.url} did not take it ({type(error).__name__})"
            raise NotRotated(f"{why}: see that it runs, then rotate again") from None


class Rotation:
    """What one organisation's rotation changes, in the folder of a network and on the brokers that run from it."""

    def __init__(self, folder: Folder, network: Network, code: str) -> None:
        """Look at what runs.

        Raises:
            NotRotated: There is no such organisation.
        """
        if code not in network.organisations:
            raise NotRotated(f"there is no organisation {code} in the network: deploy/network.toml lists them")
        self._folder = folder
        self._network = network
        self._code = code
        self._own = folder.of(code)
        self._state: dict[str, Any] = json.loads(folder.state.read_text("utf-8")) if folder.state.exists() else {}
        self._brokers = self._found()

    def prepare(self) -> Sequence[str]:
        """Make the next keys known without using them; their ids.

        Raises:
            NotRotated: The private keys are not kept here.
        """
        if not self._keeps_keys():
            where = f"{self._code} keeps its private keys itself"
            raise NotRotated(f"{where}: prepare the next ones there, and put the public ones into {self._folder.keys}")
        return rotation.prepare(self._own / "keys.json", self._folder.keys / f"{self._code}.json", self._code)

    def keys(self) -> Sequence[str]:
        """Use the next keys, made now where none were prepared; their ids, none where they are not kept here."""
        if not self._keeps_keys():
            return ()
        self.prepare()
        return rotation.use(self._own / "keys.json", self._folder.keys / f"{self._code}.json", datetime.now(UTC))

    def tokens(self) -> datetime | None:
        """Make new HTTP tokens; until when the old ones still hold, or None where there are none of it here.

        An own part in containers renews those of its services, and the hub the one for its copy of the catalogue.
        """
        until = datetime.now(UTC) + TOKEN_OVERLAP
        serves = self._keeps_keys()
        copies = self._code in copying(self._network) and self._folder.holds_keys(self._network.hub)
        if serves:
            self._folder.renew_tokens(self._code, until)
        if copies:
            self._folder.renew_copy_token(self._network, self._code, until)
        return until if serves or copies else None

    def passwords(self) -> Sequence[str]:
        """Set a new password on the hub and, of an own part, another on its own broker; on those that run from here.

        Returns:
            What people must do next.

        Raises:
            NotRotated: A broker did not take it; what was begun is finished by rotating again.
        """
        part = self._network.organisations[self._code].joins == "own"
        if self._concerns(self._network.hub):
            self._hub_password(linked=part)
        if part and self._concerns(self._code):
            self._change("broker-password", self._code)
        steps = []
        if self._brokers and not self._state:
            with_options = "with the options of the first `up`, so that a broker that is restarted keeps the password"
            steps.append(f"docker compose run --rm prepare, {with_options}")
            if part and self._network.hub in self._brokers:
                steps.append(f"viisikko join {self._code}, and hand the package over: its links open with it only")
        return steps

    def _keeps_keys(self) -> bool:
        """Whether the organisation's private keys, and the services that use them, are here.

        A hub in containers may still hold some of a member that runs its own part by now.
        """
        moved = self._network.organisations[self._code].joins == "own" and not self._concerns(self._code)
        return self._folder.holds_keys(self._code) and not moved

    def _hub_password(self, *, linked: bool) -> None:
        password = self._next("hub")
        self._set(self._network.hub, password)
        self._folder.keep_password(self._code, password)
        if linked:
            self._relink(password)
        else:
            self._readdress(password)
        self._done("hub")

    def _change(self, name: str, broker: str) -> None:
        password = self._next(name)
        self._set(broker, password)
        write_private(self._own / name, password)
        self._readdress(password)
        self._done(name)

    def _set(self, broker: str, password: str) -> None:
        # Where nothing runs, the next start gives the broker what stands in the files.
        if self._brokers:
            for user in self._users():
                self._brokers[broker].put(f"/api/users/{user}", {"password": password, "tags": ""})

    def _relink(self, password: str) -> None:
        """Give the own part's two links the password."""
        if not self._state:
            return
        links = Links(user=self._code, password=password, **self._state["links"][self._code])
        facts = self._state["doctor"][self._code]
        for one in links.parameters():
            self._brokers[self._code].put(f"/api/parameters/{one['component']}/%2F/{one['name']}", one)
        facts["VIISIKKO_HUB_URI"] = links.address
        self._write_state()

    def _readdress(self, password: str) -> None:
        """Write the address with which the services, and this command, open their next connection."""
        file = self._own / "amqp-uri"
        if file.exists():
            write_private(file, with_password(file.read_text("utf-8").strip(), password))
        if self._state:
            self._state["amqp"][self._code] = with_password(self._state["amqp"][self._code], password)
            self._write_state()

    def _users(self) -> tuple[str, str]:
        return self._code, topology.reader(self._code)

    def _write_state(self) -> None:
        write_private(self._folder.state, json.dumps(self._state, indent=1))

    def _concerns(self, broker: str) -> bool:
        return broker in self._brokers or not self._brokers

    def _found(self) -> dict[str, Broker]:
        """The brokers that run from this folder: those that `up` started, or the one in its container."""
        if self._state:
            return {code: Broker(**broker) for code, broker in self._state["brokers"].items()}
        files = {self._network.hub: self._folder.path / HUB_MANAGEMENT, self._code: self._folder.path / MANAGEMENT}
        return {code: broker_at(file.read_text("utf-8").strip()) for code, file in files.items() if file.exists()}

    def _next(self, name: str) -> str:
        """The new password, written down before any broker has it: a rotation that was cut off goes on with it."""
        return secret_in(self._own / f"{name}.next")

    def _done(self, name: str) -> None:
        (self._own / f"{name}.next").unlink()


def broker_at(uri: str) -> Broker:
    """The broker at an address with user and password."""
    parts = urlsplit(uri)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Broker(f"{parts.scheme}://{parts.hostname}:{parts.port}", user, password)


def with_password(uri: str, password: str) -> str:
    """The same address with another password."""
    parts = urlsplit(uri)
    user, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{place}"))
