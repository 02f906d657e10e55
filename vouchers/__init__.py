"""What a voucher is worth: codes, products and carry-over arithmetic. Pure."""
