"""What clean drives teach: thresholds that keep to a budget of alarms, and their price in detection."""
