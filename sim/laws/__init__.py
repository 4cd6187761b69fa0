"""The populations by name: built in, a design of the user's, or a user's function that makes a data set."""
