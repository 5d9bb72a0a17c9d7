"""What the lifecycle nodes share: their transitions, and errors that reach the log."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from edgeguard.config import Settings
from edgeguard.errors import EdgeGuardError, ParameterError
from ros_nodes.clock import clock_ns
from ros_nodes.parameters import NODE_OPTIONS


class ManagedNode(LifecycleNode):
    """A lifecycle node that says why a transition failed.

    Subclasses give `configure` (may raise `EdgeGuardError`), `activate`, `deactivate` and `cleanup`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, **NODE_OPTIONS)
        self._autostart = self.flag("autostart", True)
        self.active = False

    def flag(self, name: str, default: bool) -> bool:
        """Read a switch that is no setting: it says how the process is to run, and is read once."""
        if not self.has_parameter(name):
            return default
        value = self.get_parameter(name).value
        self.undeclare_parameter(name)
        if not isinstance(value, bool):
            raise ParameterError(self.get_name(), [f"{name} = {value!r}: expected true or false"])
        return value

    @property
    def now_ns(self) -> int:
        """The node's clock: simulated where `use_sim_time` is set."""
        return clock_ns(self)

    def configure(self) -> None:
        """Load what the node works with."""
        raise NotImplementedError

    def activate(self) -> None:
        """Begin to listen."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Stop listening."""
        raise NotImplementedError

    def cleanup(self) -> None:
        """Free what `configure` loaded."""
        raise NotImplementedError

    def autostart(self) -> bool:
        """Configure and activate, unless a lifecycle manager is to do so; false where that failed."""
        if not self._autostart:
            return True
        good = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == good and self.trigger_activate() == good

    def refuse_while_active(self, changed: bool, what: str) -> None:
        """Raise where something that only `configure` reads would be changed on a node that runs."""
        if changed and self.active:
            problem = f"{what} is read on configure; deactivate and clean up first"
            raise EdgeGuardError(f"{self.get_name()}: {problem}")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        failed = self._try(self.configure)
        if failed is not None:
            self.cleanup()
            return failed
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        failed = self._try(self.activate)
        if failed is not None:
            return failed
        self.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.active = False
        self.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.cleanup()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._release(super().on_shutdown(state))

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._release(super().on_error(state))

    def _release(self, result: TransitionCallbackReturn) -> TransitionCallbackReturn:
        if self.active:
            self.active = False
            self.deactivate()
        self.cleanup()
        return result

    def _try(self, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        # rclpy drops an exception raised in a transition without a word.
        try:
            step()
        except EdgeGuardError as e:
            self.get_logger().error(str(e))
            return TransitionCallbackReturn.FAILURE
        except Exception as e:
            self.get_logger().fatal(f"{step.__name__} failed: {type(e).__name__}: {e}")
            return TransitionCallbackReturn.ERROR
        return None


def descriptions(settings: Settings, prefix: str = "") -> dict[str, str]:
    """Return what each parameter of `settings` means, by dotted name."""
    told: dict[str, str] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            told |= descriptions(value, f"{prefix}{name}.")
        else:
            told[prefix + name] = field.description or ""
    return told
