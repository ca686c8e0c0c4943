"""Refining recurrent unit: corrects each frame's map by the maps of earlier frames."""

import torch
from torch import Tensor, nn

from torchreid_occ.utils.checks import check_choice

ATTENTIONS = ("both", "spatial", "channel")
INPUTS = ("differences", "appearance", "original")
SPATIAL_HIDDEN = 128
BN_EPS = 1e-3


class RRU(nn.Module):
    """Refines the maps of a sequence from frame to frame by a learned update gate.

    Reference: RRU-STIM, Eq. 1 to 5.

    Args:
        channels: Channels of the maps.
        height: Height of the maps.
        width: Width of the maps.
        hidden: Channels inside the gate.
        attention: Parts of the gate: 'both', 'spatial' (RRU(s) of Table 1) or 'channel'
            (RRU(c)).
        inputs: Input of the gate: 'differences' of appearance and motion, differences of
            'appearance' alone (RRU(ad)), or the 'original' maps (RRU(od)).
        skip_first: Whether to leave out the gate of the first frame, whose input is zero but
            enters the statistics of the normalisation (the released code has this gate).

    Shape:
        maps: `(B, T, C, H, W)`; result: the same.

    Raises:
        ValueError: If an option is not one of the allowed, or maps have another size than the unit
            was built for.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        hidden: int = 256,
        attention: str = "both",
        inputs: str = "differences",
        skip_first: bool = False,
    ) -> None:
        super().__init__()
        check_choice("attention", attention, ATTENTIONS)
        check_choice("inputs", inputs, INPUTS)
        self.size, self.inputs, self.skip_first = (channels, height, width), inputs, skip_first
        num_inputs = 1 if inputs == "appearance" else 2
        self.transition = nn.Conv2d(num_inputs * channels, hidden, 1, bias=False)
        self.bn = nn.BatchNorm2d(hidden, eps=BN_EPS)
        self.spatial = self.channel = None
        if attention != "channel":
            self.spatial = nn.Sequential(
                # Paper silent [S2]: sized from the input; the released code has 8x8 only.
                nn.Linear(height * width, SPATIAL_HIDDEN, bias=False),
                nn.ReLU(),
                nn.Linear(SPATIAL_HIDDEN, height * width, bias=False),
            )
        if attention != "spatial":
            self.channel = nn.Linear(hidden, channels, bias=False)

    def forward(
        self, maps: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Refines the maps of a sequence, or of the next part of one.

        Args:
            maps: The maps, in temporal order.
            state: The state after the part before; None at the start of a sequence.

        Returns:
            The refined maps, and the state after them: the last map before and after refining.
        """
        if maps.dim() != 5 or maps.shape[2:] != self.size or maps.shape[1] == 0:
            raise ValueError(
                f"Received maps of shape {tuple(maps.shape)}, but the unit was built for "
                f"(B, T, {', '.join(map(str, self.size))}) with T >= 1"
            )
        starts = state is None
        raw, refined = (maps[:, 0], maps[:, 0]) if state is None else state
        before = torch.cat((raw[:, None], maps), dim=1)[:, :-1]
        if torch.compiler.is_exporting():
            return self._scanned(maps, before, refined), None
        results = []
        for t, (frame, last) in enumerate(zip(maps.unbind(1), before.unbind(1), strict=True)):
            # Paper silent [S3]: the released code lets the first, zero input enter the statistics.
            if not (starts and t == 0 and self.skip_first):
                refined = self._step(refined, frame, last)
            results.append(refined)
        return torch.stack(results, dim=1), (maps[:, -1], refined)

    def _scanned(self, maps: Tensor, before: Tensor, refined: Tensor) -> Tensor:
        """The steps as one operator: a loop would fix the number of frames of an exported graph.

        `skip_first` has no effect here, in eval mode: the first frame equals its refined map.
        """
        from torch._higher_order_ops.scan import scan

        def step(refined: Tensor, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
            refined = self._step(refined, *inputs)
            return refined, refined.clone()

        inputs = [part.movedim(1, 0) for part in (maps, before)]
        return scan(step, refined.clone(), inputs)[1].movedim(0, 1)

    def _step(self, refined: Tensor, frame: Tensor, before: Tensor) -> Tensor:
        """The refined map of a frame, given the frame before, as it was and refined."""
        gate = self._gate(self.transition(self._inputs(refined, frame, before)))
        return refined + gate * (frame - refined)  # Eq. 5

    def _inputs(self, refined: Tensor, frame: Tensor, before: Tensor) -> Tensor:
        """What the gate reads."""
        if self.inputs == "original":
            return torch.cat((frame, refined), dim=1)
        # Paper silent [S1]: x_t - s_{t-1} as printed; the released code has the negative.
        appearance = frame - refined
        if self.inputs == "appearance":
            return appearance
        return torch.cat((appearance, frame - before), dim=1)

    def _gate(self, transition: Tensor) -> Tensor:
        transition = torch.relu(self.bn(transition))
        gates = []
        if self.spatial is not None:  # Eq. 2
            gates.append(self.spatial(transition.mean(1).flatten(1)).view(-1, 1, *self.size[1:]))
        if self.channel is not None:  # Eq. 3
            gates.append(self.channel(transition.mean((2, 3)))[..., None, None])
        return torch.sigmoid(gates[0] * gates[1] if len(gates) == 2 else gates[0])
