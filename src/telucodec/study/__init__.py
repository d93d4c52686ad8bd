"""Many runs: launching them and the statistics of their figures."""
