"""What ``photon-relay check`` looks at: everything a start needs, proved by doing where that is possible."""
