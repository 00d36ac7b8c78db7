"""Studies: lists of experiments, run one by one, and the tables and pages made of them."""
