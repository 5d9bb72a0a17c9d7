"""A small deterministic world with a camera and a LiDAR, for demos and tests."""
