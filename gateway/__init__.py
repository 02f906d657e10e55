"""The cloud's end of the device link."""
