"""What is trained. Nets know nothing of growth."""

from autogrow.nets.conv import ConvNet
from autogrow.nets.dense import ACTIVATIONS, DenseNet
from autogrow.nets.embed import ColumnEmbedding
from autogrow.nets.knots import Knots
from autogrow.nets.members import MeanOfMembers, MemberLinear

__all__ = ["ACTIVATIONS", "ColumnEmbedding", "ConvNet", "DenseNet", "Knots", "MeanOfMembers", "MemberLinear"]
