"""Products of matrices on vector registers, with one operand packed: functions for other code to call.

B (K, N) is read in panels of `width` columns: packed (:mod:`.packing`), each from end to end; or, where few
rows are multiplied with it, as its rows lie. A tile of C, up to MR rows by one panel, stays in registers
while k runs over K::

    C[i : i + h, j : j + width]  =  Σ_k A[i : i + h, k] B[k, j : j + width]      (+ C where wanted)

Each element of C is one sum in the order of k, whatever tile it is in, wherever the rows are cut and however
B lies: the same bits for any number of threads.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bptt.kernels.llvm.loops import count_loop, i64
from bptt.kernels.llvm.packing import Packing
from bptt.kernels.llvm.vector import Value, Vector


class Product(NamedTuple):
    """What `product` and `block` are called with: C (M, N) = A (M, K) B (K, N), plus C where `add` is not 0.

    Strides count numbers: of A from a row to the next and from one k to the next; of B from a panel to the
    next and from one k to the next (of a packed B K · `width`, where all its rows are wanted, and `width`; of
    one as it lies `width` and its row stride); of C from a row to the next. A row stride of A of 0 says that
    `pack_rows` has packed it. M, N and K may be 0.
    """

    A: Value
    A_row: Value
    A_k: Value
    M: Value
    B: Value
    B_panel: Value
    B_k: Value
    K: Value
    C: Value
    C_row: Value
    N: Value
    add: Value


class Gemm(Packing):
    """The parts of products as functions in a module; parameters and attributes are those of `Packing`."""

    # ---- functions to call

    @contextmanager
    def ready(self, b: Any) -> Iterator[None]:
        """Emit what products need before and after them in a work, which are inside."""
        yield

    @property
    def product(self) -> Any:
        """A function of a `Product` that reads each panel of B once, from wherever it is."""
        return self._function("product", "pnnnpnnnpnnn", self._product)

    @property
    def block(self) -> Any:
        """The same with a tile's rows outside, the panels inside: for many rows, and a B that stays near."""
        return self._function("block", "pnnnpnnnpnnn", self._block)

    # ---- the tile

    def _sums(
        self,
        v: Vector,
        rows: list[Value],
        A_k: Value,
        panels: list[Value],
        B_k: Value,
        K: Value,
        masks: list[Value | None],
    ) -> Any:
        """Emit the loop over k; return each row's sums, the vectors of all panels from left to right."""
        b = v.builder
        columns = [(panel, n) for panel in panels for n in range(len(masks) // len(panels))]
        entry, loop, done = b.block, b.append_basic_block("k"), b.append_basic_block("k.done")
        b.cbranch(b.icmp_signed(">", K, i64(0)), loop, done)
        b.position_at_end(loop)
        k = b.phi(i64)
        k.add_incoming(i64(0), entry)
        sums = [[b.phi(v.type) for _ in columns] for _ in rows]
        of_A, of_B = b.mul(k, A_k), b.mul(k, B_k)
        Bk = [
            v.load(v.at(v.at(panel, of_B), n * v.lanes), mask)
            for (panel, n), mask in zip(columns, masks, strict=True)
        ]
        more = []
        for row, total in zip(rows, sums, strict=True):
            a = v.broadcast(b.load(v.at(row, of_A), typ=v.scalar))
            more.append([self._multiply_add(v, a, Bn, t) for Bn, t in zip(Bk, total, strict=True)])
        after = b.add(k, i64(1))
        k.add_incoming(after, loop)
        b.cbranch(b.icmp_signed("<", after, K), loop, done)
        b.position_at_end(done)
        result: list[list[Value]] = []
        for total, new in zip(sums, more, strict=True):
            result.append([])
            for t, n in zip(total, new, strict=True):
                t.add_incoming(v.const(0.0), entry)
                t.add_incoming(n, loop)
                result[-1].append(both := b.phi(v.type))
                both.add_incoming(v.const(0.0), entry)
                both.add_incoming(n, loop)
        return result

    def _multiply_add(self, v: Vector, a: Value, b: Value, total: Value) -> Value:
        return v.fma(a, b, total)

    def _tile(self, h: int, P: int) -> Any:
        """Return the function of a tile of h rows and P whole panels, or, where P is 0, of up to a vector.

        It is called as `product` is, without M, and without N where panels are whole.
        """

        def emit(b: Any, *given: Value) -> None:
            v = Vector(b, self.dtype, self._target)
            A, A_row, A_k, B, B_panel, B_k, K, C, C_row, add, *left = given
            rows = [v.at(A, b.mul(A_row, i64(r))) for r in range(h)]
            panels = [v.at(B, b.mul(B_panel, i64(p))) for p in range(P or 1)]
            to = [v.at(C, b.mul(C_row, i64(r))) for r in range(h)]
            for row in to:  # C comes into the cache while k runs
                for n in range(0, P * self.width, 64 // self.dtype.itemsize):
                    v.prefetch(v.at(row, n), to_write=True)
            starts = range(0, P * self.width or v.lanes, v.lanes)
            masks = [v.tail(b.sub(left[0], i64(n))) if left else None for n in starts]
            is_add = b.icmp_signed("!=", add, i64(0))
            for row, sums in zip(to, self._sums(v, rows, A_k, panels, B_k, K, masks), strict=True):
                for n, total, mask in zip(starts, sums, masks, strict=True):
                    at = v.at(row, n)
                    v.store(v.add(total, v.select(is_add, v.load(at, mask), v.const(0.0))), at, mask)

        return self._function(f"tile{h}x{P}", "pnnpnnnpnn" + "n" * (P == 0), emit)

    # ---- bodies

    def _product(self, b: Any, *given: Value) -> None:
        v, p = Vector(b, self.dtype, self._target), Product(*given)
        is_packed = b.icmp_signed("==", p.A_row, i64(0))
        step = b.select(is_packed, p.K, p.A_row)  # from a tile to the next, per row
        A_row = b.select(is_packed, i64(1), p.A_row)
        panels = b.sdiv(p.N, i64(self.width))

        def tile(h: int, i: Value, j: Value, P: int, *column: Value) -> None:
            A_k = b.select(is_packed, i64(h), p.A_k)
            A, B = v.at(p.A, b.mul(i, step)), v.at(p.B, b.mul(j, p.B_panel))
            C = v.at(p.C, b.add(b.mul(i, p.C_row), b.mul(j, i64(self.width))))
            for c in column:  # of the panel
                B, C = v.at(B, c), v.at(C, c)
            left = [b.sub(p.N, b.add(b.mul(j, i64(self.width)), c)) for c in column]
            b.call(self._tile(h, P), [A, A_row, A_k, B, p.B_panel, p.B_k, p.K, C, p.C_row, p.add, *left])

        def rows(j: Value, *size: Any) -> None:
            self._by_rows(b, p.M, lambda h, i: self._by_height(b, h, lambda rows: tile(rows, i, j, *size)))

        few = {1: (4, 3, 2, 1), 2: (2, 1), 3: (2, 1)}  # panels at once, where a tile's rows are too few sums
        many, rest = (b.append_basic_block(name) for name in ("many", "rest"))
        choice = b.switch(p.M, many)
        for h, sizes in few.items():
            block = b.append_basic_block(f"rows{h}")
            choice.add_case(i64(h), block)
            b.position_at_end(block)
            done_to = i64(0)
            for P in sizes:
                to_P = b.sub(panels, b.srem(b.sub(panels, done_to), i64(P)))
                with count_loop(b, to_P, P, start=done_to) as j:
                    tile(h, i64(0), j, P)
                done_to = to_P
            b.branch(rest)
        b.position_at_end(many)
        with count_loop(b, panels) as j:
            rows(j, 1)
        b.branch(rest)

        b.position_at_end(rest)  # the columns of a panel that is not whole
        with count_loop(b, b.srem(p.N, i64(self.width)), v.lanes) as c:
            rows(panels, 0, c)

    def _block(self, b: Any, *given: Value) -> None:
        v, p = Vector(b, self.dtype, self._target), Product(*given)
        step = b.select(b.icmp_signed("==", p.A_row, i64(0)), p.K, p.A_row)

        def rows(h: Value, i: Value) -> None:
            A_i, C_i = v.at(p.A, b.mul(i, step)), v.at(p.C, b.mul(i, p.C_row))
            b.call(self.product, p._replace(A=A_i, M=h, C=C_i))

        self._by_rows(b, p.M, rows)

    def _by_height(self, b: Any, h: Value, emit: Callable[[int], None]) -> None:
        """Emit code for each height that a tile can have, and the choice of it."""
        after = b.append_basic_block("tile.done")
        choice = b.switch(h, after)
        for rows in range(1, self.MR + 1):
            block = b.append_basic_block(f"tile{rows}")
            choice.add_case(i64(rows), block)
            b.position_at_end(block)
            emit(rows)
            b.branch(after)
        b.position_at_end(after)
