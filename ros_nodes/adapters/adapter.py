"""What the adapters share: their parameters, and the fail-safe that they pass on."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from rclpy.node import Node
from rclpy.publisher import Publisher

from edgeguard.config import Settings, flatten, updated
from edgeguard.errors import ParameterError
from ros_nodes.adapters.watch import FailSafeWatch
from ros_nodes.managed import descriptions
from ros_nodes.parameters import NODE_OPTIONS, SettingsParameters, Values

S = TypeVar("S", bound=Settings)


class Adapter(Node, Generic[S]):
    """A node that has the fail-safe obeyed by a stack of another make.

    Subclasses say in `obey` what is to be done when the answer changes.

    Args:
        name: the node's.
        settings: its parameters, by default.
        at_start: names of those that cannot be changed while it runs.
    """

    def __init__(self, name: str, settings: S, *, at_start: frozenset[str] = frozenset()) -> None:
        super().__init__(name, **NODE_OPTIONS)
        self.settings = settings
        self._at_start: frozenset[str] = frozenset()
        SettingsParameters(self, accept=self._accept, apply=self._apply, describe=descriptions(settings))
        self._at_start = at_start
        self._watch: FailSafeWatch | None = None

    @property
    def stop(self) -> bool:
        """Whether the vehicle must stop."""
        return self._watch.stop

    def watch(self, *outputs: Publisher[Any]) -> None:
        """Begin to listen to the fail-safe; somebody should be listening to each of `outputs`."""
        self._watch = FailSafeWatch(self, lambda _: self.obey(), outputs=outputs)

    def tick(self) -> None:
        """Look for silence and for peers that are not there; call at 20 Hz or more."""
        self._watch.tick()

    def obey(self) -> None:
        """Do what `stop` asks for, now."""
        raise NotImplementedError

    def _accept(self, changes: Values) -> Values:
        changed = updated(self.settings, changes, self.get_name())
        before, after = flatten(self.settings), flatten(changed)
        if fixed := [name for name in sorted(self._at_start) if before[name] != after[name]]:
            problems = [
                f"{name} = {after[name]!r}: is read at start; start the node with it" for name in fixed
            ]
            raise ParameterError(self.get_name(), problems)
        return after

    def _apply(self, changes: Values) -> None:
        self.settings = updated(self.settings, changes, self.get_name())
