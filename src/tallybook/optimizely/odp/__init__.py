"""The customer data platform, where the official SDK keeps it."""
