"""umss: unsupervised separation of the singers of a vocal ensemble."""
