"""What tests do to a run's folder, and how they judge what comes of it."""
