"""People of a site, their seats and their credentials."""
