"""Alembic's scripts: how the tables came to be; a step once released never changes."""
