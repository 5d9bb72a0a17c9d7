"""Thin nodes between the fail-safe topic and the stacks that EdgeGuard plugs into."""
