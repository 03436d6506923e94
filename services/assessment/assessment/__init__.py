"""Assessment: finds skills in a client's own words and keeps the plan."""
