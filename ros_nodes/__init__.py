"""Thin ROS 2 nodes around the library: messages in, library calls, messages out."""
