"""Verb: the collector's write-ahead log: append, fsync in groups, seal, read back, remove."""
