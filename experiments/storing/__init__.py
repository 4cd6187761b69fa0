"""What is kept: a directory of Parquet files, a journal with checksums, one writer at a time."""
