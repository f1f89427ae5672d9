"""From evaluation tables to a report: scores, figures, and a page that holds both."""
