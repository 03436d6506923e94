"""The floor that all services stand on: events in, decisions out, nothing lost and nothing applied twice."""
