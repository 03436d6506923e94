"""One visit: every check in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from chassis import network as networks
from chassis.decision import Network
from console.doctor import hub, part
from console.doctor.findings import Facts, Finding, look
from console.doctor.part import Management


def visit(facts: Facts) -> Iterator[Finding]:
    """Look at everything; a check is left out where the one that it needs has failed.

    Raises:
        WrongNetwork: network.toml breaks rules.
        LookupError: The organisation is not in it.
    """
    network = known(facts)
    for what, check in _way_to_hub(facts, network):
        finding = look(what, check)
        yield finding
        if not finding.well:
            break
    if facts.management:
        yield from _own_part(Management(facts.management), facts, network)
    if facts.mongo:
        yield look("store", partial(part.store, facts.mongo))
    yield look("clock", partial(part.clock, facts))
    if facts.smtp:
        yield look("mail", partial(part.mail, facts.smtp))


def mend(facts: Facts) -> list[str]:
    """Mend what the doctor can: bindings that shut the link down, and links that have ended; what was done.

    Raises:
        Ill: The own broker does not answer.
        LookupError: The organisation is not in network.toml.
    """
    return part.mend(Management(facts.management), facts, known(facts)) if facts.management else []


def known(facts: Facts) -> Network:
    """The network, with the organisation in it.

    Raises:
        LookupError: It is not.
    """
    network = networks.read(facts.network).network
    if facts.organisation not in network.organisations:
        raise LookupError(f"there is no organisation {facts.organisation} in {facts.network}: list it there first")
    return network


def _way_to_hub(facts: Facts, network: Network) -> list[tuple[str, Callable[[], str]]]:
    return [
        ("hub reached", partial(hub.reached, facts)),
        ("TLS", partial(hub.encrypted, facts)),
        ("logged in", partial(hub.logged_in, facts)),
        ("bindings allowed", partial(hub.bindings_allowed, facts, network)),
        ("may speak", partial(hub.may_speak, facts)),
    ]


def _own_part(management: Management, facts: Facts, network: Network) -> Iterator[Finding]:
    broker = look("own broker", partial(part.broker, management))
    yield broker
    if not broker.well:
        return
    yield look("own bindings", partial(part.stray_bindings, management, facts, network))
    yield look("federation link", partial(part.federation, management))
    yield look("shovel", partial(part.shovel, management))
