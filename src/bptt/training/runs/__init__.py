"""A run's folder: what its files hold, and how they are written, read and verified."""
