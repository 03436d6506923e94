"""To the outside: the spreadsheets that coaches keep."""
