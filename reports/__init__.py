"""From stored rows to measures with Monte Carlo error, figures and pages."""
