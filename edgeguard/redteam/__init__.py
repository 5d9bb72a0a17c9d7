"""Attacks on recordings: what EdgeGuard is tested with."""

from edgeguard.redteam.base import Altered, Attack, AttackError
from edgeguard.redteam.inject import Outcome, attack_bag
from edgeguard.redteam.registry import KINDS

__all__ = ["KINDS", "Altered", "Attack", "AttackError", "Outcome", "attack_bag"]
