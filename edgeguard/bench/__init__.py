"""The benchmark: attacks and honest stress on drives that no calibration saw, and what the monitor said."""
