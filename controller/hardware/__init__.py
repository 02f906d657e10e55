"""Hubs, locks, how they come into service, and opening a door from afar."""
