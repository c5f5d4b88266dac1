"""What is kept at the end of an example, judged."""
