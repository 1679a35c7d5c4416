"""Verb: a question about an experiment → exact moments of every variation, by one query text."""
