"""What holds a method's engines to each other."""
