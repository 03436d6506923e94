"""Services that break the promise in one way each, to show that a run sees it: ``python -m chaos.mutants SERVICE``.

The product knows nothing of it: a mutant is made here, in the process of the service, before it starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

VARIABLE = "CHAOS_MUTANT"


def ack_first() -> None:
    """A batch is acknowledged before it is committed."""
    from chassis.subscriber import Subscriber, _Line  # noqa: PLC0415 - see main

    taken, acknowledge = Subscriber._next, _Line.ack

    def next_and_ack(self: Subscriber, line: Any) -> Any:
        tag, deliveries = taken(self, line)
        acknowledge(line, tag)
        return tag, deliveries

    setattr(Subscriber, "_next", next_and_ack)  # noqa: B010 - what is put there has other types
    setattr(_Line, "ack", lambda _self, _tag: None)  # noqa: B010 - the same


def no_marks() -> None:
    """What an aggregate has taken in is not remembered in the store."""
    from chassis.aggregates import Document  # noqa: PLC0415 - see main

    stored = Document.stored

    def without(self: Document, *arguments: Any) -> Any:
        document, overflow = stored(self, *arguments)
        return {**document, "seen": {}}, overflow

    setattr(Document, "stored", without)  # noqa: B010 - the same


def forget_first() -> None:
    """The outbox is deleted when it is read, before the broker has confirmed anything."""
    from chassis.outbox import Outbox  # noqa: PLC0415 - see main

    read = Outbox.pages

    def pages(self: Outbox, *arguments: Any, **named: Any) -> Any:
        found = read(self, *arguments, **named)
        self.remove(found)
        return found

    setattr(Outbox, "pages", pages)  # noqa: B010 - the same


MUTANTS: dict[str, Callable[[], None]] = {
    "ack-first": ack_first,
    "no-marks": no_marks,
    "forget-first": forget_first,
}


def main() -> int:
    """Run a service as the mutant that the environment names; the exit code."""
    # Before all else that it imports it makes the sockets green; whoever only reads the names must not get that.
    from chassis import run  # noqa: PLC0415

    MUTANTS[os.environ[VARIABLE]]()
    return run.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
