"""Alerts and dashboard: each expression is PromQL, and asks for metrics and labels that are really there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from chassis import metrics
from chassis.ports import free_port
from console.nodes.broker import RabbitNode

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "viisikko.json").read_text())
PANELS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
EXPRESSIONS = [(rule["alert"], rule["expr"]) for rule in RULES] + PANELS

SCRAPED = {"job", "instance", "organisation", "service"}
"""Labels that Prometheus adds itself (prometheus.yml)."""

PROMETHEUS = {"up": set[str]()}
PROCESS = {"process_resident_memory_bytes": set[str]()}
"""The client library's own."""

BROKER = {
    "rabbitmq_detailed_queue_messages": {"queue", "vhost"},
    "rabbitmq_alarms_memory_used_watermark": set[str](),
    "rabbitmq_alarms_free_disk_space_watermark": set[str](),
}


def known() -> dict[str, set[str]]:
    """Series → labels."""
    found = PROMETHEUS | PROCESS | BROKER
    for metric in metrics.described:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            found |= {f"{metric.name}_sum": labels, f"{metric.name}_count": labels}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    return found


def selectors(expression: str) -> list[Any]:
    found: list[Any] = []

    def see(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql_parser.walk(promql_parser.parse(expression), see)
    return found


def grouped(expression: str) -> set[str]:
    return {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_what_is_asked_for_is_measured(name: str, expression: str) -> None:
    series = known()

    asked = selectors(expression)

    assert asked, name
    assert {selector.name for selector in asked} <= set(series)
    for selector in asked:
        labels = SCRAPED | series[selector.name]
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels
        assert grouped(expression) <= labels


def test_every_metric_is_looked_at_somewhere() -> None:
    asked = {selector.name for _name, expression in EXPRESSIONS for selector in selectors(expression)}

    unseen = [m.name for m in metrics.described if not asked & {m.name, f"{m.name}_bucket", f"{m.name}_count"}]

    assert unseen == []


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_grave_it_is_and_what_to_do_next(rule: dict[str, Any]) -> None:
    labels = {label for selector in selectors(rule["expr"]) for label in (known()[selector.name] | SCRAPED)}

    told = " ".join(rule["annotations"].values())

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "action"}
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= (grouped(rule["expr"]) or labels)


@pytest.mark.parametrize(
    ("label", "values"),
    [("why", metrics.PAUSES), ("reason", ("crashed",)), ("how", ("away",))],
)
def test_a_label_is_compared_with_values_that_it_has(label: str, values: tuple[str, ...]) -> None:
    compared = {
        matcher.value
        for _name, expression in EXPRESSIONS
        for selector in selectors(expression)
        for matcher in selector.matchers.matchers
        if matcher.name == label
    }

    meant = {value for metric in metrics.described for value in metric.labels.get(label, "").split(", ")}
    assert compared
    assert compared <= meant & set(values)


class Monitored(RabbitNode):
    """A node with RabbitMQ's own metrics, as the container has them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="monitored", plugins=("rabbitmq_management", "rabbitmq_prometheus"))
        self.metrics = free_port()

    def _configuration(self) -> str:
        own = f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.metrics}\n"
        return super()._configuration() + own


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    node = Monitored(tmp_path_factory.mktemp("monitored"))
    node.start()
    with node.client() as client:
        client.put("/api/queues/%2F/undeliverable", json={"durable": True}).raise_for_status()
    yield node
    node.kill()


def test_the_broker_measures_what_is_asked_of_it(monitored: Monitored) -> None:
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    scraped = [
        httpx.get(
            f"http://127.0.0.1:{monitored.metrics}{job.get('metrics_path', '/metrics')}", params=job.get("params")
        ).text
        for job in jobs
        if job["job_name"].startswith("rabbitmq")
    ]

    lines = "\n".join(scraped).splitlines()

    names = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    assert set(BROKER) <= names
    assert any(
        line.startswith("rabbitmq_detailed_queue_messages{") and 'queue="undeliverable"' in line for line in lines
    )
