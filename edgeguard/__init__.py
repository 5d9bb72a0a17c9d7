"""EdgeGuard: a runtime monitor for the perception of vehicles and robots.

Importing this package pulls in neither NumPy nor OpenCV: `failsafe_node` depends on it and must start fast.
"""

__version__ = "0.1.0"
