"""Sentence of the store: where things are kept, and events on their way in and out of it."""
