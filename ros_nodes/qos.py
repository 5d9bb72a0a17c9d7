"""Qualities of service of the topics, as DESIGN §5 lays them down."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = ["PublisherEventCallbacks", "SubscriptionEventCallbacks"]

NEWEST_IMAGE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""An old frame is worth nothing."""

SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""As tf2 and camera drivers publish what does not change."""

RESULT = QoSProfile(depth=10)
"""Detections: small, and none may be lost."""

VERDICT_LEASE = Duration(nanoseconds=150_000_000)

VERDICT = QoSProfile(
    depth=10, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC, liveliness_lease_duration=VERDICT_LEASE
)
"""The monitor asserts its liveliness between verdicts too, so that its death is seen before its silence."""

FAIL_SAFE_PERIOD_S = 0.05
FAIL_SAFE_LEASE = Duration(nanoseconds=100_000_000)

FAIL_SAFE = QoSProfile(
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    deadline=FAIL_SAFE_LEASE,
    liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
    liveliness_lease_duration=FAIL_SAFE_LEASE,
)
"""Its publisher's death is seen by any subscriber that asks for deadline or liveliness."""

LEVEL = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
