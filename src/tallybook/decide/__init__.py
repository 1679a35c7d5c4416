"""Verb: decide which variation of a flag a visitor gets, and why; pure."""
