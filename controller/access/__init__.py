"""Who may open what, and when."""
