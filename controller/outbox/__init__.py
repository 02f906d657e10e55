"""What must leave the cloud because of a change, written in its transaction."""
