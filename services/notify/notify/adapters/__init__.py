"""To the outside: letters as text, and the mail server."""
