"""Verb: moments → estimate; pure, and nothing here shows a number for what is not known."""
