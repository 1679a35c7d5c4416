"""Nouns: the frozen values that flow from stage to stage, in the order in which they flow."""
