"""Events on their way out: what they are, and who takes them."""
