"""Methods on a user's own data, one or many side by side."""
