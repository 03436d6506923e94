"""To the outside: ESCO's files, uploaded pages of a vocabulary, and the plan as a printed page."""
