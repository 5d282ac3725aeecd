"""From a trained net to where it is used next: a larger net, another program."""
