"""From an experiment to a finished store: workers, guards, audits, precision, progress."""
