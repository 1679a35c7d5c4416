"""Verb: keep what was defined and published, every revision whole, and find it again."""
