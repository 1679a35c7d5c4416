"""Contextual bandits, where the official SDK keeps them."""
