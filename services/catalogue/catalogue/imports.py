"""What an import changes: only what is new, different or gone is said to the network.

Adapters turn every form into the same items, row by row: a draft, something that is no longer offered, or a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from catalogue.domain import FRESH_DAYS, RENEW_DAYS, Offering


@dataclass(frozen=True, slots=True)
class Draft:
    """A good row: the offering under its id ``<provider>.<external id>``."""

    row: int
    id: str
    offering: Offering


@dataclass(frozen=True, slots=True)
class Gone:
    """A row that says that its offering is not, or no longer, offered."""

    row: int
    id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken.

    Attributes:
        row: Its number; in a table the spreadsheet's own, else counted from 1.
        field: Heading or field name; None where the row as a whole is wrong.
        rule: The rule's name.
        message: The rule in words, never with a value.
        id: The offering's id, where it could be read: what is known of it is left alone.
        cut: True where the rest of the source could not be read, so that nothing can be said of what is missing.
    """

    row: int
    field: str | None
    rule: str
    message: str
    id: str | None = None
    cut: bool = False


Item: TypeAlias = Draft | Gone | Refusal


class Verb(StrEnum):
    """What is said of an offering."""

    PUBLISHED = "published"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Change:
    """One offering of which something is to be said.

    Attributes:
        verb: What is said.
        id: Its id.
        offering: The offering; None where it is withdrawn.
        row: The row that says so; 0 where it is said by being absent.
    """

    verb: Verb
    id: str
    offering: Offering | None = None
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of an offering before an import."""

    fingerprint: str
    fresh_until: date
    withdrawn: bool = False

    @classmethod
    def of(cls, offering: Offering) -> Known:
        """As far as a comparison needs it."""
        return cls(fingerprint=offering.fingerprint(), fresh_until=offering.fresh_until, withdrawn=offering.withdrawn)


def verb_for(known: Known | None, offering: Offering) -> Verb | None:
    """What is to be said of an offering, given what is known of it; None where it is the same and fresh enough."""
    if known is None or known.withdrawn:
        return Verb.PUBLISHED
    stale = known.fresh_until + timedelta(days=FRESH_DAYS - RENEW_DAYS) < offering.fresh_until
    return Verb.CHANGED if stale or known.fingerprint != offering.fingerprint() else None


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Compares an import, item by item, with what is known of the provider's offerings.

    Nothing is withdrawn for being absent from an import that was cut off, empty, or refused more rows than it kept:
    a broken file would otherwise empty a school's catalogue. What a row itself calls gone is withdrawn in any case.

    Attributes:
        known: Id → what is known.
        refused: Rows that were not taken.
        rows: Rows read.
        kept: Rows that were taken as drafts.
        withheld: Offerings that were not withdrawn although the import does not have them.
    """

    known: Mapping[str, Known]
    refused: list[Refusal] = field(default_factory=list)
    rows: int = 0
    kept: int = 0
    withheld: int = 0
    _seen: set[str] = field(default_factory=set)

    def changes(self, items: Iterable[Item]) -> Iterator[Change]:
        """What is to be said, while the items are read; the withdrawals come last."""
        for item in items:
            self.rows += 1
            change = self._change(item)
            if change is not None:
                yield change
        yield from self._withdrawals()

    def refuse(self, change: Change, rule: str, message: str) -> None:
        """Report a change that could not be made after all."""
        self.kept -= change.offering is not None
        self.refused.append(Refusal(change.row, None, rule, message, change.id))

    def report(self, counts: Mapping[Verb, int]) -> dict[str, Any]:
        """What the import came to, as JSON.

        Args:
            counts: How often each verb was said.
        """
        unchanged = self.kept - counts[Verb.PUBLISHED] - counts[Verb.CHANGED]
        refused = [{"row": r.row, "field": r.field, "rule": r.rule, "message": r.message} for r in self.refused]
        return {
            "rows": self.rows,
            **{str(verb): count for verb, count in counts.items()},
            "unchanged": unchanged,
            "withheld": self.withheld,
            "refused": refused,
        }

    def _change(self, item: Item) -> Change | None:
        if isinstance(item, Refusal):
            self.refused.append(item)
            if item.id is not None:
                self._seen.add(item.id)
            return None
        if isinstance(item, Gone):
            return self._gone(item)
        if item.id in self._seen:
            self._refuse_duplicate(item)
            return None
        self._seen.add(item.id)
        self.kept += 1
        verb = verb_for(self.known.get(item.id), item.offering)
        return Change(verb, item.id, item.offering, item.row) if verb else None

    def _gone(self, item: Gone) -> Change | None:
        if item.id in self._seen:
            return None
        self._seen.add(item.id)
        known = self.known.get(item.id)
        return Change(Verb.WITHDRAWN, item.id, row=item.row) if known and not known.withdrawn else None

    def _refuse_duplicate(self, item: Draft) -> None:
        message = "stands in this import already; the first one was taken"
        self.refused.append(Refusal(item.row, None, "duplicate", message, item.id))

    def _withdrawals(self) -> Iterator[Change]:
        gone = [i for i, known in self.known.items() if i not in self._seen and not known.withdrawn]
        cut = any(refusal.cut for refusal in self.refused)
        if cut or not self.kept or len(self.refused) > self.kept:
            self.withheld = len(gone)
            return
        for identifier in gone:
            yield Change(Verb.WITHDRAWN, identifier)


def changes(known: Mapping[str, Offering], items: Iterable[Item]) -> tuple[list[Change], Comparison]:
    """All changes of an import at once, with the comparison's counts; for sources of a moderate size.

    Args:
        known: Id → offering, of this provider, as a catalogue has it.
        items: What an adapter read.
    """
    comparison = Comparison(known={identifier: Known.of(offering) for identifier, offering in known.items()})
    return list(comparison.changes(items)), comparison
