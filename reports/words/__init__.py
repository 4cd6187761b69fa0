"""What is said in words: verdict, summary, ADEMP, lint."""
