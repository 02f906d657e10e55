"""The subscription of a site, vouchers and the catalogue."""
