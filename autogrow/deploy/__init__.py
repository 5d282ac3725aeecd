"""From a trained net to where it is used next: a larger net, another program."""

from autogrow.deploy.larger import Transferred, transfer
from autogrow.deploy.sklearn_nets import read_sklearn
from autogrow.deploy.torch_nets import transfer_torch

__all__ = ["Transferred", "read_sklearn", "transfer", "transfer_torch"]
