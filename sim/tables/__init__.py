"""Tables from outside: read as text first, then as the numbers people mean."""
