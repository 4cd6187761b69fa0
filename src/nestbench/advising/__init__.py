"""Which method for one's own data: the design, laws calibrated from residuals, a simulation, and a choice."""
