"""What is trained on: texts and generated tasks, as endless batches."""
