"""Spinning one node for a fraction of what rclpy's executors cost."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

FULL_EVERY = 16
"""Periods between two waits for everything: services are answered within that many, messages at once."""


class _Rare(SingleThreadedExecutor):
    """Serves what is rare, and notices when the node makes or destroys something."""

    changed = False

    def wake(self) -> None:
        self.changed = True
        super().wake()


def lean_spin(
    node: Node,
    tick: Callable[[], None],
    period_s: float,
    *,
    ahead: Callable[[], Callable[[], None] | None] | None = None,
) -> None:
    """Serve a node, and call `tick` at a steady period, until its context shuts down.

    `ahead` may give work that is done where no message waits to be served.

    rclpy's executor makes a wait set and a task for every wake-up, which took two thirds of the fail-safe's
    time; its `EventsExecutor` (9.1.2) calls nothing and spins. Here a wait set lasts until the node's
    entities change: messages are taken from it, and what is rare (services, events) is left to rclpy's
    executor. The node has no timers.
    """
    executor = _Rare(context=node.context)
    executor.add_node(node)
    alive = node.context.ok
    due, ticks = time.monotonic() + period_s, 0
    while alive():
        executor.changed = False
        with ExitStack() as held:
            entities = _entities(node)
            for entity in (node, *(e for kind in entities for e in kind)):
                held.enter_context(getattr(entity, "handle", entity))
            subscriptions, _, guards, _ = entities
            # Each event costs as much as a subscription; of quality of service one hears soon enough.
            events = [e for s in subscriptions for e in s.event_handlers if "LIVELINESS" in str(e.event_type)]
            everything = _Wait(node, *entities)
            urgent = _Wait(node, subscriptions, (), guards, events)
            messages = _Wait(node, subscriptions, (), guards, ())
            heard = False
            while alive() and not executor.changed:
                # An empty wait set is an error: an inactive node has nothing urgent.
                wait = urgent if ticks % FULL_EVERY and (subscriptions or guards) else everything
                if heard:
                    # Who spoke just now has not died; if another has, that is seen after the next tick.
                    wait = messages
                work = ahead() if ahead is not None else None
                if wait(0.0 if work is not None else max(0.0, due - time.monotonic())) and alive():
                    executor.spin_once(timeout_sec=0)
                heard = not wait.is_idle
                if work is not None and not heard:
                    work()
                if (now := time.monotonic()) >= due:
                    heard = False
                    tick()
                    due, ticks = max(due + period_s, now), ticks + 1


def _entities(node: Node) -> tuple[tuple[Any, ...], ...]:
    return tuple(node.subscriptions), tuple(node.services), tuple(node.guards), tuple(node.waitables)


class _Wait:
    """A wait set over entities that outlive it; `is_idle` where it last found nothing to call back for."""

    is_idle = True

    def __init__(
        self,
        node: Node,
        subscriptions: Sequence[Any],
        services: Sequence[Any],
        guards: Sequence[Any],
        waitables: Sequence[Any],
    ) -> None:
        # By its place in the wait set, which is the order of adding.
        self._takes = tuple((i, *_taking(s)) for i, s in enumerate(subscriptions))
        self._triggers = tuple((i, g.callback) for i, g in enumerate(guards))
        self._services = range(len(services))
        self._waitables = waitables
        events = sum(w.get_num_entities().num_events for w in waitables)
        sizes = len(subscriptions), len(guards), 0, 0, len(services), events
        self._set = ready = rclpy_implementation.WaitSet(*sizes, node.context.handle)
        self._adds = (
            *((ready.add_subscription, s.handle) for s in subscriptions),
            *((ready.add_service, s.handle) for s in services),
            *((ready.add_guard_condition, g.handle) for g in guards),
        )

    def __call__(self, timeout_s: float) -> bool:
        """Wait; call back for messages and guards; return whether anything else is ready."""
        # Between two wake-ups this process's code leaves the processor's caches: what counts is how little of
        # it there is, not how often it runs.
        ready = self._set
        is_ready = ready.is_ready
        ready.clear_entities()
        for add, handle in self._adds:
            add(handle)
        for waitable in self._waitables:
            waitable.add_to_wait_set(ready)
        ready.wait(int(timeout_s * 1e9))
        # All is looked at before anything is called: a callback may take the wait set's node apart.
        came: list[tuple[Any, ...]] = []
        for taking in self._takes:
            if is_ready("subscription", taking[0]):
                came.append(taking)
        fired: list[Callable[[], None]] = []
        for i, trigger in self._triggers:
            if is_ready("guard_condition", i):
                fired.append(trigger)
        self.is_idle = not (came or fired)
        rare = False
        for i in self._services:
            rare |= is_ready("service", i)
        # All are asked, since asking is what tells an event that it may be taken.
        for waitable in self._waitables:
            rare |= waitable.is_ready(ready)
        for _, take, kind, raw, callback, told in came:
            taken = take(kind, raw)
            if taken is not None:
                callback(*taken[:told])
        for trigger in fired:
            # Waiting takes the trigger back: an executor would not see it again.
            trigger()
        return rare


def _taking(subscription: Any) -> tuple[Any, ...]:
    """What it takes to serve a subscription; the last is with how much of (message, info) it is called."""
    callback, told = subscription.callback, 2
    try:
        inspect.signature(callback).bind(None, None)
    except TypeError:
        told = 1
    return subscription.handle.take_message, subscription.msg_type, subscription.raw, callback, told
