"""How text is read as values: found once from a file, kept with the net, and applied again to the rows it is asked about."""
