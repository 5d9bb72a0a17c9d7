"""Multi-object tracking on real time stamps."""
