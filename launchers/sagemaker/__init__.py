"""Training on Amazon SageMaker: what submits jobs, and what runs in their containers."""
