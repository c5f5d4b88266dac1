"""What other systems call the same parameters: one table, and one piece of code that reads it.

A layer here has W (D, Gx·H), U (H, Gh·H) and the biases b and b_h, with a block of columns for each gate.
Elsewhere the gates come in another order, matrices stand transposed, biases are added up, or a part is
added at run time and not stored. Each row of `CONVENTIONS` says so for one system:

=========  ===============  ===========  ================================================================
system     cell             gates        what else
=========  ===============  ===========  ================================================================
pytorch    rnn, lstm, gru   ifgo, rzn    transposed; two biases, of which only the GRU needs both
keras      rnn, lstm, gru   ifgo, zrn    gru is ``reset_after=True``, with two biases; gru-cho is False
cudnn      rnn, lstm, gru   ifgo, rzn    each gate apart, by its ``linLayerID``; two biases
onnx       rnn, lstm, gru   iofg, zrn    gru is ``linear_before_reset=1``; gru-cho is 0
equinox    lstm, gru        ifgo, rzn    one bias, and the GRU's ``bias_n`` inside its reset gate
tf1        lstm             igfo         ``BasicLSTMCell``: one kernel; 1 added to a_f at run time
cs231n     lstm             ifog         the layout here
chainer    lstm             gifo         rows interleaved: the gates of unit 0, then those of unit 1
thinc      lstm             fiog         the flat parameter is these arrays one after the other
dynet      lstm             ifog         ``VanillaLSTMBuilder``: 1 added to a_f at run time
flax       lstm             ifgo         each gate apart; the bias with the recurrent kernel
chung      gru-cho          rzn          z in the opposite sense: h = (1 - z) h_prev + z n
=========  ===============  ===========  ================================================================

``gru`` resets after the recurrent product and ``gru-cho`` before it. These are different functions: a
system that has one of them cannot hold the other. Of the cells that are equations, the zoo's and a user's
own, those that compute one of these functions (the zoo's ``lstm-no-bias`` and ``lstm-chrono`` are LSTMs)
convert as it does; the others have no counterpart in any system, and a ConfigError says so.

All conversions are of one layer in one direction. What no table of arrays can say: old Keras had
``hard_sigmoid`` gates; and a reversed layer's outputs are in the order of its steps in Keras, but in that
of its inputs in ONNX and here.
"""

from bptt.nets.conventions.convert import from_system, grads_to_system, to_system
from bptt.nets.conventions.systems import CONVENTIONS, SYSTEMS

__all__ = ["CONVENTIONS", "SYSTEMS", "from_system", "grads_to_system", "to_system"]
