"""Engine, session, tables and migrations."""
