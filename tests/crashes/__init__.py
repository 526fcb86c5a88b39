"""The crash machine: a loaded server is killed at random moments, its disk forgets, and what it then has is judged."""
