"""The benchmark's table: many nets, label sets and seeds beside published numbers."""
