"""Methods: one signature, Batch -> Estimates, a reference engine and a batched one."""
