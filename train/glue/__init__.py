"""Fine-tuning on GLUE and on tasks of one's own: rows, recipes, classifiers, results."""
