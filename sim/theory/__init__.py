"""What is known before any fit, for any population: exact tests of OLS, expected standard errors, terms left out."""
