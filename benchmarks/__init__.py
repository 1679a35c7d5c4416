"""Tallybook against the official Python SDK, side by side in one run: ``python -m benchmarks``."""
