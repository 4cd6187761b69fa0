"""The league: what other packages report, beside the exact values of the same data sets."""
