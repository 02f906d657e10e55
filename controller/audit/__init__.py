"""Who changed what: one record in the same transaction as the change."""
