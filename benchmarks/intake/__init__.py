"""What the server's intake costs: ``python -m benchmarks.intake``."""
