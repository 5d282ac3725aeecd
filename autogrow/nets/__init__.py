"""What is trained. Nets know nothing of growth."""

from autogrow.nets.dense import ACTIVATIONS, DenseNet
from autogrow.nets.members import MeanOfMembers, MemberLinear

__all__ = ["ACTIVATIONS", "DenseNet", "MeanOfMembers", "MemberLinear"]
