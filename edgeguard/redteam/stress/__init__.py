"""What an honest world does to sensors: conditions that must raise no alarm.

In the form of attacks, so that they go into any recording; none of them asks whether the engine was fooled.
"""
