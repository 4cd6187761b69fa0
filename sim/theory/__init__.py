"""What is known before any fit, for any law: exact tests of OLS, expected standard errors, terms left out."""
