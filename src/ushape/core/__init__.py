"""The vocabulary every room speaks: cases, labels, configs, errors and the model file. Imports no other room."""
