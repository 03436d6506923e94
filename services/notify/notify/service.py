"""The nameko class of notify: wiring only; what it does stands in handlers.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from chassis.projection import projection
from chassis.service import Service
from chassis.settings import setting
from chassis.web import Answer, Request, command, get
from notify import handlers, store
from notify.adapters.smtp import Mailer
from notify.domain import Reads, entry
from notify.schemas import NotificationShown, NotificationsQuery, NotificationView, PersonView


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of notify besides the chassis's."""

    smtp: str = setting("VIISIKKO_SMTP_URI")
    sender: str = setting("VIISIKKO_MAIL_FROM")


def mailer(service: Notify) -> Mailer:
    """The adapter that carries out the effect ``mail``."""
    return Mailer(
        server=service.own_settings.smtp,
        sender=service.own_settings.sender,
        person=partial(service.state, "person"),
        network=service.network,
        now=service.clock.now,
    )


class Notify(Service):
    """Carries events into people's mail, and keeps the directory of staff."""

    name = "notify"
    handlers = handlers.on
    queries = store.Queries
    settings = Settings
    effects = {"mail": mailer}

    directory = projection("person", lambda _id, person: entry(person))

    def reads(self) -> Reads:
        """The view of one batch."""
        return Reads(network=self.network, directory=self.directory.view())

    keep_person = command("PUT", "/v1/staff/{id}", name="keep-person", roles={"operator"})

    @get("/v1/staff", roles={"operator"}, answers=[Answer(schema=PersonView, many=True)])
    def list_staff(self, _request: Request) -> list[Mapping[str, Any]]:
        """Everybody in the directory."""
        people = (self.state("person", staff) for staff in sorted(self.directory.view()))
        return [PersonView().dump(person) for person in people if person]

    @get(
        "/v1/notifications",
        roles={"coach", "counsellor", "operator"},
        query=NotificationsQuery,
        answers=[Answer(schema=NotificationShown, many=True)],
    )
    def list_notifications(self, request: Request) -> list[Mapping[str, Any]]:
        """Letters about a client (``?client=``) or a referral (``?referral=``)."""
        return [
            {"id": found["id"], **NotificationView().dump(found)} for found in self.store.notifications(request.query)
        ]
