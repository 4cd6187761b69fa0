"""What methods are made of: textbook fits data set by data set, fast ones over many, and what both share."""
