"""What each kind of endpoint asks of a network: losses, what validation measures, what is predicted."""

from cardiobind.objectives.endpoints.base import ENDPOINTS, EndpointObjective, positive_weight
from cardiobind.objectives.endpoints.classes import Binary, Multilabel
from cardiobind.objectives.endpoints.numbers import Regression
from cardiobind.objectives.endpoints.time_to_event import Survival

__all__ = ["ENDPOINTS", "Binary", "EndpointObjective", "Multilabel", "Regression", "Survival", "positive_weight"]
