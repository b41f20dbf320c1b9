"""Webhooks: the server calls an address of a person's choice when one of their submissions has a result."""
