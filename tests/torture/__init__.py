"""Trainings that are killed at random moments, continued, and compared with one that was left alone."""
