"""Verb: between bytes on a wire and values: datafiles, Event API batches, definition files."""
