"""When: the durable loops of a case and of the daily portfolio."""
