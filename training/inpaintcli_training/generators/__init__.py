"""One generator a file: Config, Generator, ObjectiveConfig, Objective, RECIPES."""
