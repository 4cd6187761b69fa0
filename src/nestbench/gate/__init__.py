"""The accuracy gate of somebody else's repository: what it is, its files, its first baseline, its comment."""
