"""How commands reach a running network: its addresses, tokens and users, from the folder that it keeps."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from console.api import Api
from console.folder import Folder
from console.partner import Partner

READY_SECONDS = 5


class NotUp(RuntimeError):  # noqa: N818 - errors name the fact
    """No network runs in this folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a service stands.

    Attributes:
        organisation: Whose it is.
        service: Its name.
        url: Where it listens.
        answers: Whether it answers at all.
        ready: Whether it says that it is ready.
        lacks: What it says that it waits for.
    """

    organisation: str
    service: str
    url: str
    answers: bool
    ready: bool = False
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """A running network.

    Attributes:
        folder: Its folder.
        state: What runs where.
    """

    folder: Folder
    state: dict[str, Any]

    @classmethod
    def of(cls, folder: Folder) -> Reach:
        """The network that runs in a folder.

        Raises:
            NotUp: None does.
        """
        if not folder.state.exists():
            raise NotUp(f"no network runs in {folder.path}: start it with `viisikko up`")
        return cls(folder, json.loads(folder.state.read_text("utf-8")))

    def api(self, organisation: str, service: str, role: str) -> Api:
        """A service, spoken to with one of the organisation's tokens.

        Raises:
            NotUp: The organisation does not run that service.
        """
        url = self.state["services"].get(f"{organisation}.{service}")
        if url is None:
            raise NotUp(f"{organisation} runs no {service}: deploy/network.toml says who runs what")
        return Api(url, self.folder.credentials(organisation)["tokens"][role])

    def runs(self, service: str) -> list[str]:
        """Organisations that run a service."""
        return [name.partition(".")[0] for name in self.state["services"] if name.endswith(f".{service}")]

    def amqp(self, organisation: str) -> str:
        """The broker's address with an organisation's own user.

        Raises:
            NotUp: There is no such organisation.
        """
        amqp: str | None = self.state["amqp"].get(organisation)
        if amqp is None:
            raise NotUp(f"there is no organisation {organisation} in the network: deploy/network.toml lists them")
        return amqp

    def facts(self, organisation: str) -> dict[str, str]:
        """What `viisikko doctor` must know about an organisation, as variables.

        Raises:
            NotUp: There is no such organisation.
        """
        facts: dict[str, str] | None = self.state["doctor"].get(organisation)
        if facts is None:
            raise NotUp(f"there is no organisation {organisation} in the network: deploy/network.toml lists them")
        return facts

    def partner(self, organisation: str, system: str = "console") -> Partner:
        """An organisation's own user on the broker.

        Raises:
            NotUp: There is no such organisation.
        """
        amqp = self.amqp(organisation)
        private = self.folder.of(organisation) / "keys.json"
        return Partner(organisation, amqp, private=private, public=self.folder.keys, system=system)

    def standings(self) -> list[Standing]:
        """How every service stands now; each is asked once."""
        return [_standing(name, url) for name, url in self.state["services"].items()]

    def parked(self, *, asked: Container[str] | None = None) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Every group in every parking lot, with the service that parked it.

        Args:
            asked: Addresses of the services to ask, by default all; one that is not asked gives None.
        """
        for name, url in self.state["services"].items():
            organisation, _, service = name.partition(".")
            if asked is not None and url not in asked:
                yield name, None
                continue
            for group in self.api(organisation, service, "operator").get("/v1/parked"):
                yield name, group


def _standing(name: str, url: str) -> Standing:
    organisation, _, service = name.partition(".")
    try:
        answer = httpx.get(f"{url}/health/ready", timeout=READY_SECONDS)
    except httpx.HTTPError:
        return Standing(organisation=organisation, service=service, url=url, answers=False)
    lacks = () if answer.is_success else tuple(part for part, there in answer.json().items() if not there)
    return Standing(
        organisation=organisation, service=service, url=url, answers=True, ready=answer.is_success, lacks=lacks
    )
