"""Sites and who has which role there."""
