"""The paper's grid: run.sh, and rows at length: longer.sh."""
