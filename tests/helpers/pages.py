"""Texts of cells, one that has everything to print among them, and a page's module run by itself."""

from processes import python

EVERYTHING = '''\
@bptt.cell(state="y c", params={"alpha": (0.5, 1.5)})
def everything(a_x, a_1, u_x, c_prev, y, alpha, floor=0.25, σ_2=1e-05):
    """Each function once; names that the page and the module have a use for, too."""
    x = sqrt(1 + a_x ** 2) ** 3 + abs(a_1)
    p = where(x > 2 * u_x + 1, tanh(x) ** 3, -x / 2)
    tape = min(p, relu(a_1))
    c_tilde = max(tape, softplus(u_x)) * exp(-alpha * σ_2) - log(1 + x) ** 2
    c = floor * c_prev - (c_tilde - 0.5 * y) / (x * (2 + sigmoid(p)))
    y = c * sigmoid(x)
    return y, c
'''


def text_of(*lines: str, arguments: str = "a_h, h", options: str = "state='h'") -> str:
    """Return the text of a cell that is called mine."""
    return f"@bptt.cell({options})\ndef mine({arguments}):\n" + "".join(f"    {line}\n" for line in lines)


def run(module: str) -> float:
    """Return the error that a module prints when it is run with nothing but Python and NumPy."""
    done = python("-W", "error", "-I", "-c", module)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.rsplit(":", 1)[1])
