"""Which method for one's own data: the design, scenarios calibrated from residuals, a simulation, and a choice."""
