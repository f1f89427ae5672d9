"""Makes a report from evaluation tables: scores, figures, and an HTML page with both."""
