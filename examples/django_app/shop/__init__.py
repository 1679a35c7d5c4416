"""A small shop on Django."""
