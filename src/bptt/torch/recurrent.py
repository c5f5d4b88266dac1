"""What every layer does around its cell: batches of all forms, directions, dropout, and what runs it."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar

import torch
from torch.nn import functional as F  # noqa: N812  as everybody calls it
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import _get_current_dispatch_mode

from bptt.errors import ShapeError
from bptt.kernels import backends
from bptt.kernels.llvm.host import host
from bptt.torch import loop, operator
from bptt.torch.around import Reason, autocast, has_bfloat16, is_plain, transform
from bptt.torch.batch import Batch, unpacked
from bptt.torch.native import How
from bptt.torch.tensors import Tensor

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
"""What compiled code is for; bfloat16 is held in it and computed in float32."""


SHORT, SHORTEST = 16, 4
"""Steps: with fewer it does not pay to lay out weights for compiled code; without, and with a backward."""

_form = attrgetter("shape", "dtype", "is_cpu")

_FEW = Reason("so few steps that laying out the weights for compiled code would not pay")
_OTHERS = Reason("weights that are not of the layer's sizes, or not of one type")
_MORE = Reason("tensors that are more than numbers")
_UNFIT = Reason("an input that compiled code has no case for")


class Recurrent(torch.nn.Module):
    """Layers of a cell; a subclass says which parameters there are."""

    theirs: ClassVar[Any] = None  # PyTorch's own class, where it has one
    by_rows: ClassVar[bool]
    narrows: ClassVar[bool] = True  # whether what autocast gives is as narrow as what it computes with
    narrows_packed: ClassVar[bool] = True
    cell: Any  # a Cell

    input_size: int
    hidden_size: int
    num_layers: int
    batch_first: bool
    dropout: float
    bidirectional: bool

    def layer_params(self, k: int) -> tuple[tuple[str, ...], Sequence[Tensor]]:
        """Return the names and the parameters of a layer in a direction: 0, or 0 and 1 are the first's."""
        raise NotImplementedError

    def reason_against(self) -> str | None:
        """Return why compiled code cannot run this layer, if that is its own affair."""
        return None

    @property
    def runs_on(self) -> str:
        """What ran the last forward, or would run one; and if it is not compiled code, why."""
        reason: Reason | None = self.__dict__.get("_ran")
        if "_ran" not in self.__dict__:
            layers = self._layers()
            reason = self._reason(layers[0][1][0], layers)
        if reason is None:
            return f"compiled for {host().cpu}"
        theirs = self.theirs is not None and not reason.by_loop
        return ("PyTorch's own operator" if theirs else "a loop of PyTorch's operations") + f": {reason.text}"

    def forward(
        self,
        input: Any,
        hx: Any = None,
        mask: Tensor | None = None,
        resets: Tensor | None = None,
        return_states: bool = False,
        inputs: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Run over a sequence.

        Parameters
        ----------
        input : (T, N, D), (N, T, D) with ``batch_first``, (T, D), or PackedSequence
        hx : (L·directions, N, H), or a tuple of them where the cell has several states, optional
            The states before the first step; without N where `input` has none. Default: where they start.
        mask : bool, as `input` without its last axis, optional
            Where False the step does not exist for its row: its states are held, the output is zero.
        resets : bool, as `mask`, optional
            Where True no state crosses the border between the step before and this: what would starts anew.
        return_states : bool
            Whether the states after each step are returned, too.
        inputs : dict of tensors, optional
            What the cell reads at each step beside `input`, by name: as `input` with H for D, or without its
            last axis where it is one number for a row.

        Returns
        -------
        output : as `input`, with H, or 2H with both directions, for D
        hx : as the argument
            The states after the last step; of the other direction, after the first.
        states : as `hx`, of (L·directions, T, N, H), with T and N as in `input`
            Only with ``return_states``.
        """
        packed = input if isinstance(input, PackedSequence) else None
        x = input if packed is None else packed.data
        own = () if hx is None else hx if isinstance(hx, tuple | list) else (hx,)
        extra = mask is not None or resets is not None or return_states or bool(inputs)
        is_compiling = torch.compiler.is_compiling()
        # asked first: around a call as short as that much else would take its time
        if self.theirs is not None and not (extra or is_compiling) and self._is_short(x, own, packed):
            self.__dict__["_ran"] = _FEW
            return self.theirs.forward(self, input, hx)
        layers = self._layers()
        reason = self._reason(x, layers) if self._fits(x, own, packed) else _UNFIT
        if not is_compiling:
            self.__dict__["_ran"] = reason
        if reason is not None and self.theirs and (reason is _UNFIT or not (extra or reason.by_loop)):
            return self.theirs.forward(self, input, hx)
        if reason is _UNFIT:
            self._refuse(x, own, packed)
        if packed is not None and (mask is not None or resets is not None or inputs):
            raise ShapeError(
                "a packed sequence takes no mask, no resets and no inputs: give it padded, with its mask"
            )
        batch = self._batch(x, own, mask, resets, packed)
        if inputs or self.cell.inputs:
            beside = loop.beside(self.cell, inputs or {}, x, self.hidden_size, batch_first=self.batch_first)
            batch = batch._replace(beside=beside)
        rows = None
        if packed is not None and not (return_states or is_compiling or reason):
            drops = self.dropout and self.training and self.num_layers > 1  # draws for each row there is
            size = 0 if drops else max(sum(p.numel() for p in params if p.dim() == 2) for _, params in layers)
            batch, rows = unpacked(batch, size)
        states = self._states(batch, own, None if packed is None else packed.sorted_indices)
        y, final, after = self._run(batch, states, layers, reason, all_states=return_states)
        if packed is not None:
            back = packed.unsorted_indices
            y = y if y.dim() == 2 else y.flatten(0, 1)
            y = y if rows is None else y.index_select(0, rows)
            y = PackedSequence(y, packed.batch_sizes, packed.sorted_indices, back)
            final = final if back is None else [s.index_select(1, back) for s in final]
        elif x.dim() == 2:
            y, final, after = y.squeeze(1), [s.squeeze(1) for s in final], [s.squeeze(2) for s in after]
        elif self.batch_first:
            y, after = y.transpose(0, 1), [s.transpose(1, 2) for s in after]
        found = (y, tuple(final), tuple(after)) if len(final) > 1 else (y, final[0], *after)
        return found if return_states else found[:2]

    def _is_short(self, x: Tensor, states: Sequence[Tensor], packed: PackedSequence | None) -> bool:
        """Return whether there are so few steps that PyTorch's own operator is as quick."""
        if packed is not None:
            T = len(packed.batch_sizes)
        else:
            T = x.shape[1 if self.batch_first and x.dim() == 3 else 0] if x.dim() in (2, 3) else SHORT
        if T >= SHORT or transform() is not None:
            return False
        if T < SHORTEST or not torch.is_grad_enabled():
            return True
        return not any(t.requires_grad for t in (x, *states, *self.layer_params(0)[1]))

    def _fits(self, x: Tensor, states: Sequence[Tensor], packed: PackedSequence | None) -> bool:
        """Return whether PyTorch's layer takes these; where not, it has its own words for it."""
        if x.dim() not in ((2, 3) if packed is None else (2,)) or x.shape[-1] != self.input_size:
            return False
        if 0 in x.shape or not x.is_floating_point():
            return False
        if not states:
            return True
        if len(states) != len(self.cell.states):
            return False
        if packed is not None:
            # where this is traced, nobody knows how many
            unknown = torch.compiler.is_compiling()
            N: tuple[int, ...] = (states[0].shape[1] if unknown else int(packed.batch_sizes[0]),)
        else:
            N = x.shape[:1] if self.batch_first else x.shape[1:2]
            N = N if x.dim() == 3 else ()
        shape = (self.num_layers * (1 + self.bidirectional), *N)
        is_compiling = torch.compiler.is_compiling()
        for name, s in zip(self.cell.states, states, strict=True):
            if s.shape != (*shape, self.cell.width(name, self.hidden_size)):
                return False
            if s.dtype != x.dtype or s.device != x.device or not (is_compiling or is_plain(s)):
                return False
        return True

    def _refuse(self, x: Tensor, states: Sequence[Tensor], packed: PackedSequence | None) -> None:
        """Raise a ShapeError that says what does not fit."""
        D, H, count = self.input_size, self.hidden_size, self.num_layers * (1 + self.bidirectional)
        wanted = (
            "(R, D)"
            if packed is not None
            else "(N, T, D) or (T, D)"
            if self.batch_first
            else "(T, N, D) or (T, D)"
        )
        raise ShapeError(
            f"{self.cell.name}: input must be {wanted} with T, N above 0 and D = {D}, and the states "
            f"{', '.join(self.cell.states)} each ({count}, N, {H}), all of one dtype and on one device; got "
            f"{x.dtype} {tuple(x.shape)} and {[(s.dtype, tuple(s.shape)) for s in states] or 'no states'}"
        )

    def _layers(self) -> list[Any]:
        """Return `layer_params` of each layer in each direction."""
        return [self.layer_params(k) for k in range(self.num_layers * (1 + self.bidirectional))]

    def _reason(self, x: Tensor, layers: Sequence[Any]) -> Reason | None:
        """Return why compiled code cannot run on an input, or None where it can."""
        is_compiling = torch.compiler.is_compiling()
        if not is_compiling and (under_way := transform()) is not None:
            return under_way
        weight = layers[0][1][0]
        for tensor in (x, weight):
            if tensor.device.type != "cpu":
                return Reason(f"tensors on {tensor.device}")
            if tensor.dtype not in DTYPES:
                return Reason(f"{tensor.dtype}")
        computed = autocast()
        if computed is None and x.dtype != weight.dtype:
            return Reason("dtypes that differ")
        if computed == torch.float16:
            return Reason("autocast to torch.float16")
        if torch.jit.is_tracing() or (is_compiling and torch.onnx.is_in_onnx_export()):
            return Reason("an export that knows PyTorch's operators alone")
        if not is_compiling and not (is_plain(x) and _get_current_dispatch_mode() is None):
            return _MORE
        return self._own_reason(layers)

    def _own_reason(self, layers: Sequence[Any]) -> Reason | None:
        """Return why compiled code cannot run this layer with its weights as they are now."""
        if (own := self.reason_against()) is not None:
            return Reason(own)
        if torch.compiler.is_compiling():
            return self._misfit(layers)
        forms: list[Any] = [self.input_size, self.hidden_size, self.num_layers, self.bidirectional]
        for _, params in layers:
            if not all(map(is_plain, params)):
                return _MORE
            forms += map(_form, params)
        if forms != self.__dict__.get("_fit"):
            if (why := self._misfit(layers)) is not None:
                return why
            self.__dict__["_fit"] = forms
        return None

    def _misfit(self, layers: Sequence[Any]) -> Reason | None:
        """Return a reason where weights would be read as what they are not."""
        for (_, params), shapes in zip(layers, self._shapes(layers), strict=True):
            dtype = params[0].dtype
            for param, shape in zip(params, shapes, strict=True):
                if param.shape != shape or param.dtype != dtype or not param.is_cpu:
                    return _OTHERS
        return None

    def _shapes(self, layers: Sequence[Any]) -> list[list[tuple[int, ...]]]:
        """Return the shapes that the parameters have, of each layer in each direction."""
        ways, D, H, found = 1 + self.bidirectional, self.input_size, self.hidden_size, []
        for k, (names, _) in enumerate(layers):
            shapes = operator.shapes(self.cell, D if k < ways else H * ways, H)
            turned = slice(None, None, -1 if self.by_rows else 1)
            found.append([shapes[name][turned] for name in names])
        return found

    def _batch(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        mask: Tensor | None,
        resets: Tensor | None,
        packed: PackedSequence | None,
    ) -> Batch:
        if packed is not None:
            # asked for before all else: where this is traced it ends a graph
            N = states[0].shape[1] if states else int(packed.batch_sizes[0])
            return Batch(x, None, None, packed.batch_sizes, N, {}, was_packed=True)
        for name, flags in (("mask", mask), ("resets", resets)):
            if flags is not None and (flags.shape != x.shape[:-1] or flags.dtype != torch.bool):
                raise ShapeError(
                    f"{name} must be bool {tuple(x.shape[:-1])}, the input's steps and rows; "
                    f"got {flags.dtype} {tuple(flags.shape)}"
                )
        given = [x, mask, resets]
        if x.dim() == 2:
            given = [a if a is None else a.unsqueeze(1) for a in given]
        elif self.batch_first:
            given = [a if a is None else a.transpose(0, 1) for a in given]
        x, mask, resets = given
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(-1), 0)
        return Batch(x, mask, resets, None, x.shape[1], {})

    def _states(self, batch: Batch, given: Sequence[Tensor], order: Tensor | None) -> Sequence[Any]:
        """Return each state (L·directions, N, H) before the first step, or None where it is zero."""
        if not given:
            return [None] * len(self.cell.states)
        if batch.batch_sizes is None and given[0].dim() == 2:
            return [s.unsqueeze(1) for s in given]
        return given if order is None else [s.index_select(1, order) for s in given]

    def _run(
        self,
        batch: Batch,
        states: Sequence[Any],
        layers: Sequence[Any],
        reason: Reason | None,
        *,
        all_states: bool,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the output, each state after the last step, and after each step where it is wanted."""
        x, mask, resets, batch_sizes, N, beside, was_packed = batch
        computed = autocast() or x.dtype
        dtype = computed if (self.narrows_packed if was_packed else self.narrows) else x.dtype
        is_narrow = computed == torch.bfloat16 and reason is None
        precision: backends.Precision = "bfloat16" if is_narrow and has_bfloat16() else "float32"
        is_known = batch_sizes is not None and not torch.compiler.is_compiling()
        sizes = tuple(batch_sizes.tolist()) if is_known and batch_sizes is not None else None
        if is_narrow:
            x, states = x.float(), [s if s is None else s.float() for s in states]
        ways, kinds, runs = 1 + self.bidirectional, len(states), []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout)
            for k in range(layer * ways, (layer + 1) * ways):
                names, params = layers[k]
                if is_narrow:
                    params = [p.float() for p in params]
                how = How(self.cell, names, self.by_rows, k % ways == 1, sizes, all_states)
                own = [s if s is None or ways * self.num_layers == 1 else s[k : k + 1] for s in states]
                first = loop.starts(self.cell, dict(zip(names, params, strict=True)), x, self.hidden_size)
                own = [f.expand(1, N, -1) for f in first] if first and own[0] is None else own
                if reason is None:
                    found = list(operator.run(how, precision, x, mask, resets, own, params, N, batch_sizes))
                else:
                    widths = (self.cell.width(name, self.hidden_size) for name in self.cell.states)
                    own = [x.new_zeros(1, N, w) if s is None else s for s, w in zip(own, widths, strict=True)]
                    found = loop.run(how, x, mask, resets, [s[0] for s in own], params, beside)
                    found[1 : 1 + kinds] = [s.unsqueeze(0) for s in found[1 : 1 + kinds]]
                if how.reverse and resets is not None:
                    found[1 : 1 + kinds] = loop.begun(found[1 : 1 + kinds], resets[0], first)
                runs.append(found)
            x = runs[-1][0] if ways == 1 else torch.cat([found[0] for found in runs[-ways:]], -1)
        if len(runs) == 1:
            final, after = runs[0][1 : 1 + kinds], [s.unsqueeze(0) for s in runs[0][1 + kinds :]]
        else:
            _, *each = zip(*runs, strict=True)
            final, after = [torch.cat(s) for s in each[:kinds]], [torch.stack(s) for s in each[kinds:]]
        if is_narrow:
            return x.to(dtype), [s.to(dtype) for s in final], [s.to(dtype) for s in after]
        return x, final, after
