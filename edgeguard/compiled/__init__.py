"""Loops over points, boxes and filters, compiled ahead of time (Cython).

A frame's subjects are a dozen and its points a hundred thousand: for the first, each call of an array library
costs more than its arithmetic, for the second, each pass over memory does. Everything here is arithmetic
without state: tables of what is remembered are handed in, and what a check measures, and why, stands at the
head of its module. Sums keep the order in which they are written (no fused or reordered operations), so that
replays agree bit for bit on a machine.
"""
