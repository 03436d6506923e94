"""Grafana's dashboard, as code: what an operator looks at, one row a question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, COLUMNS = 8, 7, 3
"""Grafana's grid is 24 wide."""

SOURCE = {"type": "prometheus", "uid": "prometheus"}
PICKED = 'organisation=~"$organisation", service=~"$service"'
BOTH = "{{organisation}} {{service}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        title: What it shows.
        unit: Grafana's name of the unit.
        lines: PromQL and the legend of each line; ``§`` stands for the organisations and services that are picked.
    """

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]


def _ratio(part: str, whole: str) -> str:
    return f"sum by (service) (rate({part}{{§}}[1m])) / sum by (service) (rate({whole}{{§}}[1m]))"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Is it well?",
        (
            Panel("Up", "bool_on_off", [('up{job="viisikko", §}', "{{organisation}} {{service}} {{instance}}")]),
            Panel("Leads", "short", [("sum by (organisation, service) (viisikko_leader{§})", BOTH)]),
            Panel(
                "Consumer paused",
                "bool_on_off",
                [("max by (organisation, service, why) (viisikko_consumer_paused{§}) > 0", BOTH + " {{why}}")],
            ),
            Panel(
                "Parked, by reason",
                "short",
                [
                    (
                        "sum by (service, reason) (increase(viisikko_parked_total{§}[5m])) > 0",
                        "{{service}} {{reason}}",
                    )
                ],
            ),
            Panel(
                "Stands in the parking lot",
                "short",
                [("max by (organisation, service) (viisikko_parked_standing{§})", BOTH)],
            ),
            Panel(
                "Retries, by step",
                "short",
                [("sum by (service, step) (increase(viisikko_retries_total{§}[5m])) > 0", "{{service}} step {{step}}")],
            ),
        ),
    ),
    (
        "How much, how fast?",
        (
            Panel("Received", "cps", [("sum by (organisation, service) (rate(viisikko_received_total{§}[1m]))", BOTH)]),
            Panel("Settled, by how", "cps", [("sum by (how) (rate(viisikko_settled_total{§}[1m]))", "{{how}}")]),
            Panel(
                "Published, and not taken by the broker",
                "cps",
                [
                    ("sum by (organisation, service) (rate(viisikko_published_total{§}[1m]))", BOTH),
                    ("sum by (service) (rate(viisikko_not_taken_total{§}[1m])) > 0", "{{service}} not taken"),
                ],
            ),
            Panel(
                "Messages in a batch",
                "short",
                [
                    (
                        _ratio("viisikko_batch_messages_sum", "viisikko_batch_messages_count"),
                        "{{service}}",
                    )
                ],
            ),
            Panel(
                "Decide, commit, confirm: 99 of 100 batches",
                "s",
                [
                    (
                        f"histogram_quantile(0.99, sum by (le) (rate(viisikko_{step}_seconds_bucket{{§}}[5m])))",
                        step,
                    )
                    for step in ("decide", "commit", "confirm")
                ],
            ),
            Panel(
                "HTTP: 99 of 100 answers",
                "s",
                [
                    (
                        "histogram_quantile(0.99, sum by (le, service) (rate(viisikko_http_seconds_bucket{§}[5m])))",
                        "{{service}}",
                    )
                ],
            ),
        ),
    ),
    (
        "What waits?",
        (
            Panel(
                "Outbox",
                "short",
                [("max by (organisation, service) (viisikko_outbox_documents{§})", BOTH)],
            ),
            Panel(
                "Age of the oldest in the outbox",
                "s",
                [("max by (organisation, service) (viisikko_outbox_age_seconds{§})", BOTH)],
            ),
            Panel(
                "Effects that wait, and that were given up",
                "short",
                [
                    ("max by (organisation, service) (viisikko_effects_waiting{§}) > 0", BOTH + " waiting"),
                    ("max by (organisation, service) (viisikko_effects_dead{§}) > 0", BOTH + " dead"),
                ],
            ),
            Panel(
                "Effects, by how",
                "cps",
                [("sum by (name, how) (rate(viisikko_effects_total{§}[5m]))", "{{name}} {{how}}")],
            ),
            Panel(
                "Timers: fired, and how late the latest is",
                "short",
                [
                    ("sum by (organisation, service) (increase(viisikko_timers_fired_total{§}[5m])) > 0", BOTH),
                    ("max by (organisation, service) (viisikko_timers_late_seconds{§}) > 0", BOTH + " seconds late"),
                ],
            ),
            Panel("Queues", "short", [("sum by (queue) (rabbitmq_detailed_queue_messages) > 0", "{{queue}}")]),
        ),
    ),
    (
        "What does it stand on?",
        (
            Panel(
                "Broker: connected, blocked",
                "bool_on_off",
                [
                    ("min by (organisation, service) (viisikko_broker_connected{§})", BOTH + " connected"),
                    ("max by (organisation, service) (viisikko_broker_blocked{§}) > 0", BOTH + " blocked"),
                ],
            ),
            Panel("Conflicts", "cps", [("sum by (service) (rate(viisikko_conflicts_total{§}[5m]))", "{{service}}")]),
            Panel("Memory", "bytes", [('process_resident_memory_bytes{job="viisikko", §}', BOTH + " {{instance}}")]),
        ),
    ),
)


def build() -> str:
    """The dashboard's JSON."""
    dashboard = {
        "uid": "viisikko",
        "title": "Viisikko",
        "description": "Generated by `viisikko contract build`; do not edit.",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_variable("organisation"), _variable("service")]},
        "panels": list(_panels()),
    }
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _panels() -> Iterator[dict[str, Any]]:
    top = 0
    for title, panels in ROWS:
        yield {"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []}
        top += 1
        for position, panel in enumerate(panels):
            x, y = position % COLUMNS * WIDTH, top + position // COLUMNS * HEIGHT
            yield _picture(panel, {"x": x, "y": y, "w": WIDTH, "h": HEIGHT})
        top += -(-len(panels) // COLUMNS) * HEIGHT


def _picture(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + n),
            "datasource": SOURCE,
            "expr": expression.replace("§", PICKED),
            "legendFormat": legend,
        }
        for n, (expression, legend) in enumerate(panel.lines)
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def _variable(label: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values(viisikko_leader, {label})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
