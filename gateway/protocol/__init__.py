"""The wire language of hubs and the frames they exchange with locks."""
