"""What ``decide`` takes and answers, where the official SDK keeps it."""
