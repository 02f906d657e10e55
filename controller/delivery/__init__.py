"""Compiles, signs and serves what hubs need to know."""
