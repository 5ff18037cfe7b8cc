"""``/metrics``: figures for Prometheus, worked out when they are asked for, in a registry of their own."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ui.context import CONTEXT
from ui.health import reasons
from ui.routes import Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ui.context import Context

_LAMPS = ("ok", "warning", "error", "off", "unknown")


class Snapshot(Collector):
    """One status as metrics. Missing parts of it are left out: a scrape is no place to fail."""

    def __init__(self, status: Mapping[str, Any] | None, *, ready: bool, clients: int, tasks: int) -> None:
        self._status = status
        self._ready = ready
        self._clients = clients
        self._tasks = tasks

    def collect(self) -> Iterator[Metric]:
        """Give the metrics."""
        yield _gauge("photon_relay_ready", "1 where all loops run and all mounts are there.", self._ready)
        yield _gauge("photon_relay_live_clients", "Pages that look on live.", self._clients)
        yield _gauge("photon_relay_tasks", "Tasks of the event loop; what grows for days is a fault.", self._tasks)
        if self._status is None:
            return
        status = self._status
        yield _labelled("photon_relay_info", "Which version runs.", "version", {status["version"]: 1})
        yield _labelled("photon_relay_photos", "Photos by state.", "state", status["photos"])
        yield from _totals(status.get("total") or {})
        codes: dict[str, int] = {}
        for issue in status.get("issues", ()):
            codes[issue["code"]] = codes.get(issue["code"], 0) + 1
        yield _labelled("photon_relay_issues", "What is wrong now, by code.", "code", codes)
        yield from _lamps(status.get("lamps", ()))
        yield _gauge("photon_relay_paused", "1 where nothing new is begun.", status["paused"])
        yield _gauge("photon_relay_settling", "Files that are not quiet yet.", status["watch"].get("pending", 0))
        yield _gauge("photon_relay_nextcloud_jobs", "Folders Nextcloud is still to look at.", status["nextcloud_jobs"])
        yield _labelled("photon_relay_users", "Users by what was decided.", "decision", status.get("users") or {})
        yield from _batches(status)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _labelled(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        metric.add_metric([str(key)], float(value))
    return metric


def _totals(total: Mapping[str, Any]) -> Iterator[Metric]:
    told = {
        "done": ("photon_relay_relayed", "Photos that are in the archive."),
        "bytes": ("photon_relay_relayed_bytes", "Bytes that are in the archive."),
        "duplicates": ("photon_relay_duplicates", "Photos that the archive had already."),
        "duplicate_bytes": ("photon_relay_duplicate_bytes", "Bytes saved by duplicates."),
        "refused": ("photon_relay_refused", "Photos that will not be moved."),
        "restored": ("photon_relay_restored", "Photos that were put back."),
    }
    for key, (name, words) in told.items():
        if key in total:
            yield CounterMetricFamily(name, words, value=float(total[key]))


def _lamps(lamps: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    states = GaugeMetricFamily("photon_relay_lamp", "How what the relay needs is.", labels=["lamp", "state"])
    free = GaugeMetricFamily("photon_relay_free_bytes", "Free space.", labels=["disk"])
    for lamp in lamps:
        for state in _LAMPS:
            states.add_metric([lamp["id"], state], float(lamp["state"] == state))
        space = (lamp.get("detail") or {}).get("free")
        if isinstance(space, (int, float)):
            free.add_metric([lamp["id"].removeprefix("disk_")], float(space))
    yield states
    yield free


def _batches(status: Mapping[str, Any]) -> Iterator[Metric]:
    batch, last = status.get("batch") or {}, status.get("last_batch") or {}
    yield _gauge("photon_relay_batch_photos", "Photos in the batch under way.", batch.get("photos") or 0)
    began, ended = last.get("created_at"), last.get("ended_at")
    if began and ended:
        took = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
        yield _gauge("photon_relay_last_batch_seconds", "How long the last batch took.", took.total_seconds())


async def metrics(request: web.Request) -> web.Response:
    """Give the figures as text."""
    text = await render(request.app[CONTEXT])
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_1_0_0})


async def render(context: Context) -> bytes:
    """Give the figures; while the daemon's parts are being built, only that they are."""
    service = context.service
    status = None if service is None else await service.now.snapshot()
    registry = CollectorRegistry(auto_describe=False)
    clients, tasks = len(context.hub.clients), len(asyncio.all_tasks())
    registry.register(Snapshot(status, ready=not reasons(context), clients=clients, tasks=tasks))
    return generate_latest(registry)


def routes() -> list[Route]:
    """Give the route."""
    return [Route("GET", "/metrics", metrics, "read")]
