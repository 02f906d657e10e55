"""Tell people what happens at their doors."""
