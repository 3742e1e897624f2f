"""Train the generators: recipes, data, losses, one loop, export. Nothing else imports torch."""
