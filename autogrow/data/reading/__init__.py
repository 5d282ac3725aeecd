"""How text is read as values: found once from a file, kept with the net, applied again to rows that come later."""
