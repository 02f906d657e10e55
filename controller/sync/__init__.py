"""Desired state by revision: what every hub should hold, and what it has confirmed."""
