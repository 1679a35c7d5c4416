"""What is measured: functions that make one contender work, in a fresh process."""
