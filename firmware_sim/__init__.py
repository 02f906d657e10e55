"""The hardware that is not there: hub and lock firmware, played over real MQTT."""
