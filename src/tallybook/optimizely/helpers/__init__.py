"""Names and settings, where the official SDK keeps them."""
