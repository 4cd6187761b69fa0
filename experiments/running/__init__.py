"""From an experiment to a finished store: workers, guards, audits, precision, progress."""

import warnings

# Of systems without shared memory, on import: on Linux our workers are forks, which need none, elsewhere a run says it.
warnings.filterwarnings("ignore", r"(?s).*joblib will operate in serial mode", UserWarning)
