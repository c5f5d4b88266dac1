"""What compiled code runs with: threads that wait for work, and aligned memory."""
