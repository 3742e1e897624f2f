"""Train the generators: recipes, data, losses, one loop, export. The only package that imports torch."""
