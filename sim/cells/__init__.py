"""A condition - population, layout and model - and what is true of it."""
