"""Which entries of the parking lots a command means: options that `list`, `replay` and `discard` have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from console.parked import Lot
    from console.reach import Reach

InOption = Annotated[str | None, typer.Option("--organisation", "-o", help="Code of one organisation; else all.")]
ServiceOption = Annotated[str | None, typer.Option("--service", "-s", help="Name of one service; else all.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What was given; each field is the option of its name, and None where it was left out."""

    organisation: InOption = None
    service: ServiceOption = None
    type: Annotated[
        str | None, typer.Option("--type", help="Only this type, such as referral.accepted; of effects, their name.")
    ] = None
    reason: Annotated[
        str | None, typer.Option("--reason", help="Only with this reason code, such as schema or effect.")
    ] = None
    rule: Annotated[str | None, typer.Option("--rule", help="Only what this rule of the domain refused.")] = None
    publisher: Annotated[str | None, typer.Option("--publisher", help="Only from this organisation.")] = None
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only parked so long ago or longer: 15m, 2h, 7d.")
    ] = None
    newer_than: Annotated[str | None, typer.Option("--newer-than", help="Only parked since then: 15m, 2h, 7d.")] = None

    def lots(self, reach: Reach) -> list[Lot]:
        """The parking lots that are meant.

        Raises:
            NotUp: The network runs no such service.
        """
        from console import parked  # noqa: PLC0415 - the command starts faster without what it does not need

        return parked.lots(reach, self.organisation, self.service)

    def filters(self) -> dict[str, Any]:
        """The filters that are given, as the services' HTTP names them.

        Raises:
            WrongAge: An age is none.
        """
        from console.parked import seconds  # noqa: PLC0415 - see above

        given = {
            "type": self.type,
            "reason": self.reason,
            "rule": self.rule,
            "publisher": self.publisher,
            "olderThanSeconds": self.older_than and seconds(self.older_than),
            "newerThanSeconds": self.newer_than and seconds(self.newer_than),
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Meant):
    """What is to be done something with, and how; each field is the option of its name."""

    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of entries, or at least 8 characters of each.")
    ] = None
    everything: Annotated[bool, typer.Option("--all", help="Everything, where nothing else says what is meant.")] = (
        False
    )
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it would do, and change nothing.")] = False
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many at the most, the oldest first.")] = None

    def body(self) -> dict[str, Any]:
        """What is meant, as the services' HTTP takes it.

        Raises:
            NothingMeant: Nothing says it, or all is said beside a filter.
            WrongAge: An age is none.
        """
        from console import parked  # noqa: PLC0415 - see above

        return parked.wanted(self.ids or [], self.filters(), everything=self.everything)


def with_meant(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter ``meant``, a `Meant` or `Request`, typer sees as the options of its fields."""
    parameters = inspect.signature(command, eval_str=True).parameters
    kind = parameters["meant"].annotation
    names = [field.name for field in fields(kind)]

    @wraps(command)
    def run(**given: Any) -> None:
        command(meant=kind(**{name: given.pop(name) for name in names}), **given)

    shown = [_keyword(p.name, p.default, p.annotation) for p in parameters.values() if p.name != "meant"]
    run.__dict__["__signature__"] = inspect.Signature([*_options(kind), *shown])
    return run


def _options(kind: type[Meant]) -> Sequence[inspect.Parameter]:
    kinds = get_type_hints(kind, include_extras=True)
    return [_keyword(field.name, field.default, kinds[field.name]) for field in fields(kind)]


def _keyword(name: str, default: object, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
