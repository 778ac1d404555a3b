"""Structured state space model with a diagonal state matrix (S4D) over ECGs."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder
from cardiobind.models.vit import DropPath

SPEEDS_PER_S = (0.1, 10.0)
"""Range of the first speeds of the states: steps of 0.001 to 0.1 at 100 Hz, as Gu et al. take them."""


class DiagonalStateSpace(nn.Module):
    """One linear state space system a channel, as a convolution over time.

    A state follows x' = v (A x + u), y = 2 Re(C x) + D u, with complex diagonal A and speed v per second; u is held
    between tokens. So a system is a function of time and not of the sampling: only the step is that of the tokens.

    Args:
        width: channels.
        state: numbers in the state of a channel; half of them are kept, the others are their conjugates.
        token_rate_hz: tokens a second.
        bidirectional: whether a second output C looks back from the end.

    Source: Gu et al. 2022 (S4D, arXiv 2206.11893), S4D-Lin; zero-order hold, equation 2.
    """

    def __init__(self, width: int, state: int, token_rate_hz: float, *, bidirectional: bool) -> None:
        super().__init__()
        self.width, self.pairs, self.token_rate_hz = width, state // 2, token_rate_hz
        slow, fast = (math.log(speed) for speed in SPEEDS_PER_S)
        # Vectors, so that weight decay leaves the dynamics alone.
        self.log_speed = nn.Parameter(slow + (fast - slow) * torch.rand(width))
        self.log_decay = nn.Parameter(torch.full((width * self.pairs,), math.log(0.5)))
        self.frequency = nn.Parameter((math.pi * torch.arange(self.pairs, dtype=torch.float32)).repeat(width))
        self.skip = nn.Parameter(torch.randn(width))
        self.output = nn.Parameter(torch.randn(1 + bidirectional, width, self.pairs, 2) * math.sqrt(0.5))

    def kernel(self, length: int) -> Tensor:
        """Return the response (directions, width, length) to a token of 1."""
        shape = (self.width, self.pairs)
        matrix = torch.complex(-self.log_decay.exp().reshape(shape), self.frequency.reshape(shape))
        exponent = matrix * (self.log_speed.exp()[:, None] / self.token_rate_hz)
        weight = torch.view_as_complex(self.output) * (exponent.exp() - 1.0) / matrix
        times = torch.arange(length, device=exponent.device)
        # Twice as fast as the exponential of complex numbers.
        powers = torch.polar((exponent.real[..., None] * times).exp(), exponent.imag[..., None] * times)
        return 2.0 * torch.einsum("dhn,hnl->dhl", weight, powers).real

    def forward(self, u: Tensor) -> Tensor:
        """Return y (B, width, N) of u (B, width, N), in float32 whatever the precision around it."""
        with torch.autocast(u.device.type, enabled=False):
            u, length = u.float(), u.shape[2]
            past, *future = F.pad(self.kernel(length), (0, length))
            response = past + F.pad(self.skip[:, None], (0, 2 * length - 1))
            if future:
                response = response + future[0].flip(1).roll(1, 1)
            y: Tensor = CircularConvolution.apply(u, response)  # type: ignore[no-untyped-call]
            return y


class CircularConvolution(torch.autograd.Function):
    """Convolution over time of signals (B, width, N) with responses (width, 2 N), whose second half looks back.

    The gradients are convolutions too. Torch would take those of a real transform by a complex one, at twice the time.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, response: Tensor) -> Tensor:
        """Return y (B, width, N)."""
        size = response.shape[1]
        spectrum, factor = torch.fft.rfft(u, n=size), torch.fft.rfft(response)
        ctx.save_for_backward(spectrum, factor)
        ctx.sizes = u.shape[2], size
        y: Tensor = torch.fft.irfft(spectrum * factor, n=size)[..., : u.shape[2]]
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of both."""
        (spectrum, factor), (length, size) = ctx.saved_tensors, ctx.sizes
        gradient = torch.fft.rfft(gradients[0], n=size)
        of_response = torch.fft.irfft((spectrum.conj() * gradient).sum(dim=0), n=size)
        return torch.fft.irfft(gradient.mul_(factor.conj()), n=size)[..., :length], of_response


class S4Block(nn.Module):
    """Pre-norm residual block: state space over time, then a gated linear layer over channels."""

    def __init__(self, width: int, space: DiagonalStateSpace, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.space = space
        self.mix = nn.Linear(width, 2 * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the shape (B, N, width) of `x`."""
        y = F.gelu(self.space(self.norm(x).transpose(1, 2))).transpose(1, 2)
        return x + self.drop_path(F.glu(self.mix(y), dim=2))  # type: ignore[no-any-return]


class Stem(nn.Module):
    """Token from the last two token lengths of signal: it sees no later sample."""

    def __init__(self, leads: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.embed = nn.Conv1d(leads, width, 2 * stride, stride=stride)
        self.norm = nn.LayerNorm(width)
        self.refine = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of ECGs (B, 12, T), N = T / stride rounded down."""
        local = self.embed(F.pad(x, (self.stride, 0))).transpose(1, 2)
        return self.refine(F.gelu(self.norm(local)))  # type: ignore[no-any-return]


@ENCODERS.register("s4")
class S4(Encoder):
    """Stack of diagonal state space layers; its tokens are local features of the signal, put into context.

    Args:
        inputs: an ECG (12, samples) of any rate.
        width: length of a token.
        depth: number of state space layers.
        state: numbers in the state of a channel, even.
        token_rate_hz: tokens a second, as near as a whole number of samples allows.
        bidirectional: whether a token knows what follows; False makes the context causal, as `cpc` needs it.
        drop_path: rate of stochastic depth at the last layer; it grows linearly from 0 at the first.

    Raises:
        ConfigError: an option is out of range.

    Source: Gu et al. 2022 (S4D); Mehari and Strodthoff 2023 (S4 for ECGs, arXiv 2211.07579).
    """

    modalities: ClassVar[tuple[str, ...]] = ("ecg",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        width: int = 256,
        depth: int = 4,
        state: int = 16,
        token_rate_hz: float = 50.0,
        bidirectional: bool = True,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        rate_hz = inputs.rate_hz or 0.0
        if min(width, depth) < 1 or state < 2 or state % 2 or not 0 < token_rate_hz <= rate_hz:
            got = f"{width}, {depth}, {state}, {token_rate_hz} Hz of {rate_hz} Hz"
            raise ConfigError("sizes must be positive, the state even, and tokens no faster than samples", got=got)
        if not 0.0 <= drop_path < 1.0:
            raise ConfigError("drop_path is out of range", where="s4.drop_path", expected="[0, 1)", got=drop_path)
        self.inputs, self.width, self.causal = inputs, width, not bidirectional
        stride = max(1, round(rate_hz / token_rate_hz))
        self.stem = Stem(inputs.shape[0], width, stride)
        spaces = [DiagonalStateSpace(width, state, rate_hz / stride, bidirectional=bidirectional) for _ in range(depth)]
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.ModuleList([S4Block(width, s, r) for s, r in zip(spaces, rates, strict=True)])
        self.norm = nn.LayerNorm(width)

    def local(self, x: Tensor) -> Tensor:
        """Return local tokens (B, N, width) of ECGs (B, 12, T) of any length.

        Raises:
            InputError: the number of leads is another, or the ECG is shorter than a token.
        """
        if x.ndim != 3 or x.shape[1] != self.inputs.shape[0] or x.shape[2] < self.stem.stride:
            expected = f"(B, {self.inputs.shape[0]}, at least {self.stem.stride})"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        return self.stem(x)  # type: ignore[no-any-return]

    def context(self, tokens: Tensor) -> Tensor:
        """Return local tokens (B, N, width) in their context, of the past alone where the encoder is causal."""
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of ECGs (B, 12, T); errors as `local`."""
        return self.context(self.local(x))
