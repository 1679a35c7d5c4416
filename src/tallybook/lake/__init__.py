"""Verb: received batches → Delta tables of decisions, conversions, dead letters; exactly once."""
