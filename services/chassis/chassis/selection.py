"""Which entries of the parking lot somebody means: the filters of its routes, and the query that they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from chassis.border import schema_of
from chassis.parking import EFFECTS_QUEUE, Status
from chassis.reasons import Reason

PAGE = 200
"""Entries that one request replays or discards at the most."""

MAX_LISTED = 10_000
LISTED = 200
LOST = timedelta(days=1)
"""A replay that has not ended for so long is taken for lost with its broker, and may be tried or discarded anew.

Should it come after all, its mark tells that it was taken (reliability.md, Settling)."""

ID = re.compile(r"[0-9a-f]{8,64}\Z")
_ID_RULE = "must be 8 to 64 of the id's first characters, 0-9 and a-f"
_MAX_SECONDS = 10**10
_MAX_PER_SECOND = 10_000
_AFTER_HEX = "g"

_TEXT = validate.Length(min=1, max=200)
_AGE = validate.Range(min=0, max=_MAX_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the entries have in common that somebody means.

    Attributes:
        ids: Their ids or the beginnings of them; None for any.
        type: ``aggregate.verb``, or None for any.
        reason: Reason code, or None for any.
        rule: Name of the domain's rule, or None for any.
        publisher: Code of the organisation that published it, or None for any.
        older_than_seconds: Parked for the first time at least so long ago, or None.
        newer_than_seconds: Parked for the first time at most so long ago, or None.
    """

    ids: tuple[str, ...] | None = None
    type: str | None = None
    reason: str | None = None
    rule: str | None = None
    publisher: str | None = None
    older_than_seconds: int | None = None
    newer_than_seconds: int | None = None

    def query(self, now: datetime) -> dict[str, Any]:
        """MongoDB's query for it."""
        named = {name: getattr(self, name) for name in ("type", "reason", "rule", "publisher")}
        query: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        first: dict[str, datetime] = {}
        if self.older_than_seconds is not None:
            first["$lte"] = _ago(now, self.older_than_seconds)
        if self.newer_than_seconds is not None:
            first["$gte"] = _ago(now, self.newer_than_seconds)
        if first:
            query["first"] = first
        if self.ids is not None:
            query["_id"] = {"$in": list(self.ids)}
        return query


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A question for entries.

    Attributes:
        filters: Which.
        status: Only those that stand so; None for all.
        limit: How many at the most.
    """

    filters: Filters
    status: str | None
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A request to replay or discard entries.

    Attributes:
        filters: Which.
        before: Only those that were last parked until then, so that what failed again is not tried for ever; or None.
        dry_run: Whether to tell only what it would do.
        limit: How many this request may take at the most.
        per_second: How many may be replayed in a second, below the service's own limit; None for that limit.
    """

    filters: Filters
    before: datetime | None
    dry_run: bool
    limit: int
    per_second: int | None


class FiltersSchema(Schema):
    """Filters as they come in a query or a body."""

    class Meta:
        """A filter that is misspelt would mean everything."""

        unknown = RAISE

    ids = fields.List(
        fields.String(validate=validate.Regexp(ID, error=_ID_RULE)), validate=validate.Length(min=1, max=PAGE)
    )
    type = fields.String(validate=_TEXT)
    reason = fields.String(validate=validate.OneOf([str(reason) for reason in Reason]))
    rule = fields.String(validate=_TEXT)
    publisher = fields.String(validate=_TEXT)
    older_than_seconds = fields.Integer(data_key="olderThanSeconds", validate=_AGE)
    newer_than_seconds = fields.Integer(data_key="newerThanSeconds", validate=_AGE)

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Any:
        """The filters."""
        return _filters(data)


class ListingSchema(FiltersSchema):
    """The query of a list."""

    status = fields.String(validate=validate.OneOf([str(status) for status in Status]), load_default=None)
    limit = fields.Integer(validate=validate.Range(min=1, max=MAX_LISTED), load_default=LISTED)

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Any:
        """The question."""
        own = {name: data.pop(name) for name in ("status", "limit")}
        return Listing(filters=_filters(data), **own)


class ActionSchema(FiltersSchema):
    """The body of a replay or a discard."""

    everything = fields.Boolean(data_key="all", truthy={True}, falsy={False}, load_default=False)
    before = fields.AwareDateTime(load_default=None)
    dry_run = fields.Boolean(data_key="dryRun", truthy={True}, falsy={False}, load_default=False)
    limit = fields.Integer(validate=validate.Range(min=1, max=PAGE), load_default=PAGE)
    per_second = fields.Integer(
        data_key="perSecond", validate=validate.Range(min=1, max=_MAX_PER_SECOND), load_default=None
    )

    @validates_schema
    def check_something_is_meant(self, data: Mapping[str, Any], **_options: Any) -> None:
        """An empty body must not mean everything."""
        if data["everything"] == any(name in data for name in schema_of(FiltersSchema).fields):
            raise ValidationError("must be true where no filter is given, and only there", "all")

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Any:
        """The request."""
        del data["everything"]
        own = {name: data.pop(name) for name in ("before", "dry_run", "limit", "per_second")}
        return Action(filters=_filters(data), **own)


def beginning_with(prefix: str) -> dict[str, Any]:
    """MongoDB's query for the ids that begin so."""
    return {"$gte": prefix, "$lt": prefix + _AFTER_HEX}


def at_rest(now: datetime) -> dict[str, Any]:
    """MongoDB's query for entries that are not on their way; an effect is never lost, since it stays in the store."""
    lost = {"replayed": {"$lt": now - LOST}, "queue": {"$ne": EFFECTS_QUEUE}}
    return {"$or": [{"status": {"$ne": str(Status.REPLAYING)}}, lost]}


def _filters(data: dict[str, Any]) -> Filters:
    ids = data.pop("ids", None)
    return Filters(ids=None if ids is None else tuple(ids), **data)


def _ago(now: datetime, seconds: int) -> datetime:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(year=1970, tzinfo=now.tzinfo)
