"""One working day of the region, played on real parts."""
