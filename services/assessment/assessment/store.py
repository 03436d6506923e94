"""The uploaded vocabulary in the store, and the one in memory that follows it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assessment import packaged
from assessment.vocabulary import Vocabulary, build
from chassis import strictjson
from chassis.decision import Refused

if TYPE_CHECKING:
    from pymongo.database import Database

CHUNK = 250
"""Records of one document: an occupation with a hundred relations is 10 kB."""

CURRENT, PENDING = "current", "pending"


class NoUpload(Refused):
    """A page came before the record that begins an upload."""


class Incomplete(Refused):
    """The last record tells of other counts than what has come; the vocabulary in use stays."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a page has brought: skills and occupations, and whether the upload is complete with it."""

    received: int
    complete: bool


class Queries:
    """The vocabulary's collections, and the vocabulary that decisions read.

    An upload is kept beside the one in use until its last record; one small document then says which is in use, so that
    they change over at once. The uploaded files may be of any size: they are read back page by page.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Use the service's own database."""
        self._pages = database["vocabulary"]
        self._marks = database["vocabulary_in_use"]
        self._building = threading.Lock()
        self._built: Vocabulary | None = None

    def indexes(self) -> None:
        """Declare the indexes that the queries need."""
        self._pages.create_index([("generation", 1), ("_id", 1)])

    def vocabulary(self) -> Vocabulary:
        """The vocabulary in memory; the first to ask builds it.

        Raises:
            PyMongoError: It is not built yet, and the store cannot be reached.
        """
        built = self._built
        return self.refresh() if built is None else built

    def refresh(self) -> Vocabulary:
        """The vocabulary that the store says is in use, built anew where another one is in memory.

        Others get their turn while it is built; decisions read the earlier one meanwhile.

        Raises:
            PyMongoError: The store cannot be reached.
        """
        with self._building:
            mark = self._marks.find_one({"_id": CURRENT}) or {"generation": "", "source": packaged.SOURCE}
            if self._built is None or self._built.counts.generation != mark["generation"]:
                self._built = self._build(mark)
            return self._built

    def receive(self, records: Iterable[Mapping[str, Any]], generation: str) -> Progress:
        """Keep one page of an upload.

        Args:
            records: Checked records; ``begin`` first in the first page, ``complete`` last in the last.
            generation: Name of the upload, where this page begins one; the same where the page is sent again.

        Raises:
            NoUpload: Nothing was begun.
            Incomplete: It ends, and something is missing.
            PyMongoError: The store cannot be reached.
        """
        chunk: list[Mapping[str, Any]] = []
        received = 0
        complete = False
        for record in records:
            if record["kind"] == "begin":
                if self._in_use() == generation:
                    return Progress(received, complete=True)
                self._begin(record, generation)
            elif record["kind"] == "complete":
                self._keep(chunk)
                chunk = []
                self._complete(record)
                complete = True
            else:
                received += 1
                chunk.append(record)
                if len(chunk) == CHUNK:
                    self._keep(chunk)
                    chunk = []
        self._keep(chunk)
        return Progress(received, complete)

    def _in_use(self) -> str:
        mark = self._marks.find_one({"_id": CURRENT})
        return str(mark["generation"]) if mark else ""

    def _begin(self, record: Mapping[str, Any], generation: str) -> None:
        mark = {"generation": generation, "source": record["source"], "dangling": 0}
        self._marks.replace_one({"_id": PENDING}, mark, upsert=True)
        # What an upload that was given up has left.
        self._pages.delete_many({"generation": {"$nin": [generation, self._in_use()]}})

    def _keep(self, chunk: Sequence[Mapping[str, Any]]) -> None:
        if not chunk:
            return
        generation = self._pending()["generation"]
        # Named for what it holds, so that a page that is sent again is kept once.
        name = hashlib.sha256(strictjson.dumps(chunk)).hexdigest()
        page = {"generation": generation, "records": list(chunk)}
        self._pages.replace_one({"_id": f"{generation}/{name}"}, page, upsert=True)

    def _complete(self, record: Mapping[str, Any]) -> None:
        pending = self._pending()
        counted = {"skill": 0, "occupation": 0}
        for kept in self._records(pending["generation"]):
            counted[kept["kind"]] += 1
        wanted = record["counts"]
        if (counted["skill"], counted["occupation"]) != (wanted["skills"], wanted["occupations"]):
            text = (
                f"counts: {counted['skill']} skills and {counted['occupation']} occupations have come instead of "
                f"{wanted['skills']} and {wanted['occupations']}; send all pages again"
            )
            raise Incomplete(text, field="counts")
        mark = {"generation": pending["generation"], "source": pending["source"], "dangling": record["dangling"]}
        self._marks.replace_one({"_id": CURRENT}, mark, upsert=True)
        self._marks.delete_one({"_id": PENDING})
        self._pages.delete_many({"generation": {"$ne": pending["generation"]}})

    def _pending(self) -> Mapping[str, Any]:
        found = self._marks.find_one({"_id": PENDING})
        if found is None:
            raise NoUpload("kind: the first record of an upload must be begin", field="kind")
        return found

    def _records(self, generation: str) -> Iterator[Mapping[str, Any]]:
        for page in self._pages.find({"generation": generation}).sort("_id", 1).batch_size(4):
            yield from page["records"]

    def _build(self, mark: Mapping[str, Any]) -> Vocabulary:
        records = self._records(mark["generation"]) if mark["generation"] else packaged.records()
        steps = build(
            records,
            words=packaged.words(),
            source=mark["source"],
            generation=mark["generation"],
            dangling=mark.get("dangling", 0),
        )
        for step in steps:
            if step is not None:
                return step
            # Under the service's green threads this lets health checks and heartbeats in.
            time.sleep(0)
        raise RuntimeError("the steps of a build end with the vocabulary")
