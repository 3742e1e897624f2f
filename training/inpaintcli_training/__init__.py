"""Train the generators: recipes, data, losses, the loop, export. No other package imports torch."""
