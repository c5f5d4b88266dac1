"""What is right of each file in `unlike`: an example, its loss, and what each gradient is the gradient at.

`was` holds what the parameters were before the example's last statement, by their expressions.
"""

from judged.truth import Truth

TRUTHS = {
    "verses": Truth(
        "seen, wanted = [2, 0, 2, 6], [0, 2, 6, 3]\n"
        "start = np.random.randn(units, 1)\n"
        "cost, ginto, garound, gout, ghbias, gobias, end = learn(seen, wanted, start)",
        "learn(seen, wanted, start)[0]",
        {"into": "ginto", "around": "garound", "out": "gout", "hbias": "ghbias", "obias": "gobias"},
        ("    ginto, garound",),
        ("    for g in [",),
    ),
    "weather": Truth(
        "net = WeatherForecaster(3, 4)\n"
        "readings, truths = np.random.randn(5, 2, 3), np.random.randn(5, 2, 3)\n"
        "cost = net.squaredMiss(readings, truths)\n"
        "net.runBackward()",
        "net.squaredMiss(readings, truths)",
        {"net.theWeights": "net.gradWeights"},
        ("    def runBackward",),
    ),
    "pullbacks": Truth(
        "theta, xs, h0 = fresh(3, 4), np.random.randn(5, 2, 3), np.random.randn(2, 4)\n"
        "hs, pullback = sequence(theta, xs, h0)\n"
        "dhs = np.random.randn(*hs.shape)\n"
        "acc, dxs, dh0 = pullback(dhs)",
        "(sequence(theta, xs, h0)[0] * dhs).sum()",
        {"theta": "acc", "xs": "dxs", "h0": "dh0"},
        (
            "    return s, lambda",
            "    return b, lambda",
            "    def pull(dv",
            "    def pull(dh_new",
            "    def pullback",
        ),
    ),
    "coroutine": Truth(
        "net = make(3, 4, 2)\n"
        "xs, start, slopes = np.random.randn(5, 3), np.random.randn(4), np.random.randn(5, 2)\n"
        "running = unfold(net, xs, start)\n"
        "answers = readout(net, running)\n"
        "at_inputs, at_start = fold(net, running, slopes)",
        "(np.array(readout(net, unfold(net, xs, start))) * slopes).sum()",
        {
            "net['A']": "net['gA']",
            "net['B']": "net['gB']",
            "net['c']": "net['gc']",
            "net['R']": "net['gR']",
            "xs": "at_inputs",
            "start": "at_start",
        },
        ("    local = ", "def fold"),
    ),
    "records": Truth(
        "net = CoupledLSTM(Gate.random(3, 4), Gate.random(3, 4), Gate.random(3, 4))\n"
        "xs, h0, c0 = np.random.randn(5, 3, 2), np.random.randn(4, 2), np.random.randn(4, 2)\n"
        "hs = net.forward(xs, h0, c0)\n"
        "dhs = np.random.randn(5, 4, 2)\n"
        "g, dxs, dh0, dc0 = net.backward(dhs)",
        "(np.array(net.forward(xs, h0, c0)) * dhs).sum()",
        {
            **{f"net.{gate}": f"g.{gate}" for gate in ("forget", "new", "out")},
            "xs": "dxs",
            "h0": "dh0",
            "c0": "dc0",
        },
        ("    def add", "    def backward"),
    ),
    "bricks": Truth(
        "net = Chain(3, 4, 2)\n"
        "seq, goals = np.random.randn(5, 6, 3), np.random.randn(5, 6, 2)\n"
        "total = net.loss(seq, goals)\n"
        "net.descend()",
        "Chain.loss(net, seq, goals)",
        {
            f"net.{brick}.{kind}": f"net.{brick}.{kind}_slope"
            for brick in ("inner", "outer")
            for kind in ("weight", "bias")
        },
        ("        def down", "    def descend"),
    ),
    "timelast": Truth(
        "layer = IndRNNLayer(3, 4, 2, 6)\n"
        "signal, back = np.random.randn(2, 3, 6), np.random.randn(2, 4, 6)\n"
        "out = layer(signal)\n"
        "dsignal = layer.backprop(back)",
        "(layer(signal) * back).sum()",
        {
            "layer.K": "layer.dK",
            "layer.recur": "layer.drecur",
            "layer.shift": "layer.dshift",
            "signal": "dsignal",
        },
        ("    def backprop",),
    ),
    "lengths": Truth(
        "p = init(7, 3, 4)\n"
        "tokens, labels = np.random.randint(0, 7, (2, 5)), np.random.randint(0, 7, (2, 5))\n"
        "loss, g = loss_and_grad(p, tokens, labels, [5, 3])",
        "loss_and_grad(p, tokens, labels, [5, 3])[0]",
        {"p": "g"},
        ("    g = {k",),
    ),
    "bothways": Truth(
        "net = BothWays(3, 4, 5)\n"
        "xs, dys = np.random.randn(6, 2, 3), np.random.randn(6, 2, 5)\n"
        "ys = net.predict(xs)\n"
        "dxs = net.learn_from(dys)",
        "(net.predict(xs) * dys).sum()",
        {"net.lr.par": "net.lr.gpar", "net.rl.par": "net.rl.gpar", "net.top": "net.gtop", "xs": "dxs"},
        ("    def unread", "    def learn_from"),
    ),
    "spotlight": Truth(
        "net = Spotlight(3, 4, 2)\n"
        "x, y = np.random.randn(5, 3), 0.7\n"
        "half = net.energy(x, y)\n"
        "g = net.slopes()",
        "net.energy(x, y)",
        {f"net.{name}": f"g['{name}']" for name in ("E", "R", "K", "q", "out")},
        ("    def slopes",),
    ),
    "stripes": Truth(
        "net = Stripes(2, 3, 4, 9, 5)\n"
        "X, y = np.random.randn(6, 2, 9), np.array([0, 4, 2, 4, 1, 3])\n"
        "loss, grads = net.loss(X, y)",
        "net.loss(X, y)[0]",
        {"net.params": "grads"},
        ("def conv_bwd", "def pool_bwd", "        ds = (probs"),
    ),
    "block": Truth(
        "net = Block(4, 2, 6)\n"
        "x, dy = np.random.randn(5, 4), np.random.randn(5, 4)\n"
        "y = net.forward(x)\n"
        "dx = net.backward(dy)",
        "(net.forward(x) * dy).sum()",
        {
            **{f"net.{w}": f"net.d{w}" for w in ("Wqkv", "Wo", "W1", "W2")},
            **{f"net.{n}.{w}": f"net.{n}.d{w}" for n in ("n1", "n2") for w in "gb"},
            "x": "dx",
        },
        ("    def bwd", "    def backward"),
    ),
    "bare": Truth(
        "weights = [rand(4, 7), rand(4, 7), rand(2, 4)]\n"
        "xs, goal = rand(5, 3), rand(2)\n"
        "E = error(weights, xs, goal)\n"
        "grads = rethink(weights, xs, goal)",
        "error(weights, xs, goal)",
        {"weights": "grads"},
        ("    gf, gn, gy =", "def mul_t", "def add_outer"),
    ),
    "peeping": Truth(
        "net = Peeping(3, 4)\n"
        "X, dH = np.random.randn(5, 3, 2), np.random.randn(5, 4, 2)\n"
        "out = net.run(X)\n"
        "dX = net.trace(dH)",
        "(net.run(X) * dH).sum()",
        {**{f"net.t['{k}'].value": f"net.t['{k}'].grad" for k in ("W", "b", "pi", "pf", "po")}, "X": "dX"},
        ("    def trace",),
    ),
    "tower": Truth(
        "P = build(3, 4, 5)\n"
        "seq, labels = np.random.randn(6, 2, 4), np.eye(5)[np.random.randint(0, 5, (6, 2))]\n"
        "loss, diary = climb(P, seq, labels)\n"
        "G = fall(P, diary, labels)",
        "climb(P, seq, labels)[0]",
        {"P": "G"},
        ("def fall",),
    ),
    "neurons": Truth(
        "net = Rates(3, 4, 2)\n"
        "u, target = np.random.randn(6, 3, 5), np.random.randn(6, 2, 5)\n"
        "cost = net.mse(u, target)\n"
        "g = net.adjoint()",
        "net.mse(u, target)",
        {f"net.{name}": f"g['{name}']" for name in ("J", "B", "C", "log_tau")},
        ("    def adjoint",),
    ),
    "echo": Truth(
        "net = EchoState(5, 3, 2)\n"
        "series, wanted = np.random.randn(6, 3), np.random.randn(6, 2)\n"
        "net.fit_step(series, wanted)",
        "net.fit_step(series, wanted)",
        {"net.readout": "net.readout_grad", "net.dials": "net.dials_grad"},
        ("        slope = ",),
    ),
    "levelled": Truth(
        "r = np.random.randn\n"
        "weights = [r(3, 4), r(4, 4), r(4), r(4)]\n"
        "x, h0, dout = r(2, 5, 3), r(2, 4), r(2, 5, 4)\n"
        "out, caches = run(x, h0, weights)\n"
        "dx, dh0, dweights = run_grad(dout, caches, weights)",
        "(run(x, h0, weights)[0] * dout).sum()",
        {"weights": "dweights", "x": "dx", "h0": "dh0"},
        ("def ln_tanh_step_grad", "def run_grad"),
    ),
    "phrases": Truth(
        "net = Phrases(7, 3, 4)\nnll = net.train_on([2, 5, 2, 0], [5, 2, 0, 6])",
        "net.forward([2, 5, 2, 0], [5, 2, 0, 6])",
        {
            f"net.model['{k}']": f"(was[\"net.model['{k}']\"] - net.model['{k}'])"
            f" * np.sqrt(net.memory['{k}'] + 1e-8) / 0.1"
            for k in ("table", "lstm", "soft")
        },
        ("        grad = ",),
        ("        for k in m:",),
    ),
    "opinions": Truth(
        "net = Opinion(3, 4)\n"
        "reviews, kind = np.random.randn(6, 5, 3), np.array([0, 1, 1, 0, 1, 1])\n"
        "cost = net.study(reviews, kind)",
        "net.cost(reviews, kind)",
        {"net.theta": "(was['net.theta'] - net.theta) / 0.05"},
        ("        A, B, c, w, k = self.parts(self.theta)\n        flat",),
        ("        self.speed = ",),
    ),
    "torchy": Truth(
        "leaves = [draw(5, 2, 3), draw(2, 4), draw(4, 3), draw(4, 4), draw(4)]\n"
        "readout = torch.randn(5, 2, 4, dtype=torch.float64)\n"
        "loss = score(leaves, readout)\n"
        "loss.backward()",
        "score(leaves, readout).item()",
        {"leaves": "[leaf.grad for leaf in leaves]"},
        ("    def backward",),
    ),
    "packed": Truth(
        "W, X = lstm_init(3, 4), np.random.randn(5, 2, 3)\n"
        "c0, h0, dH = np.random.randn(2, 4), np.random.randn(2, 4), np.random.randn(5, 2, 4)\n"
        "dcn, dhn = np.random.randn(2, 4), np.random.randn(2, 4)\n"
        "H, cn, hn, tape = lstm_all(X, W, c0, h0)\n"
        "dX, dW, dc0, dh0 = lstm_all_back(dH, tape, dcn, dhn)",
        "sum((a * b).sum() for a, b in zip(lstm_all(X, W, c0, h0), (dH, dcn, dhn)))",
        {"W": "dW", "X": "dX", "c0": "dc0", "h0": "dh0"},
        ("def lstm_all_back",),
    ),
    "translator": Truth(
        "net = Translator(5, 6, 4)\n"
        "heard, said = [2, 4, 2], [3, 1, 5, 1]\n"
        "loss = net.surprise(heard, said)\n"
        "net.regret()",
        "net.surprise(heard, said)",
        {"net.reader.w": "net.reader.g", "net.writer.w": "net.writer.g", "net.choose": "net.gchoose"},
        ("    def tock", "    def regret"),
    ),
    "perceptron": Truth(
        "net = Perceptron([3, 6, 4, 5], ['elu', 'softplus', 'linear'])\n"
        "batch, onehot = np.random.randn(7, 3), np.eye(5)[[0, 3, 1, 1, 4, 2, 0]]\n"
        "cost = net.objective(batch, onehot)\n"
        "nabla = net.gradient(batch, onehot)",
        "net.objective(batch, onehot)",
        {"net.layers": "nabla"},
        ("        delta = (soft",),
    ),
    "product": Truth(
        "r = lambda *shape: np.random.uniform(-1, 1, shape)\n"
        "P = Factors(r(4, 3), r(5, 3), r(5, 4), r(4, 5), r(6, 4))\n"
        "xs, h0, dys = r(5, 3, 2), r(4, 2), r(5, 6, 2)\n"
        "ys, tape = mrnn(P, xs, h0)\n"
        "dP, dxs, dh0 = mrnn_vjp(P, tape, dys)",
        "(np.array(mrnn(P, xs, h0)[0]) * dys).sum()",
        {**{f"P.{k}": f"dP.{k}" for k in "UFGVY"}, "xs": "dxs", "h0": "dh0"},
        ("def mrnn_vjp",),
    ),
    "highway": Truth(
        "net = RecurrentHighway(3, 4)\n"
        "road, s0, ds = np.random.randn(5, 2, 3), np.random.randn(2, 4), np.random.randn(2, 4)\n"
        "s = net.drive(road, s0)\n"
        "grads, ds0 = net.drive_home(ds)",
        "(net.drive(road, s0) * ds).sum()",
        {**{f"net.{k}": f"grads['{k}']" for k in ("Wh", "Wt", "Rh", "Rt")}, "s0": "ds0"},
        ("    def drive_home",),
    ),
    "feedback": Truth(
        "net = Jordan(3, 5, 2)\n"
        "pattern, desired = np.random.randn(4, 3), np.random.rand(4, 2)\n"
        "error = net.teach(pattern, desired)",
        "net.sse(pattern, desired)",
        {f"net.{k}": f"(was['net.{k}'] - net.{k}) / 0.3" for k in ("win", "wctx", "wout")},
        ("        up_in, up_ctx",),
        ("        self.win -= ",),
    ),
    "netz": Truth(
        "netz = Netz(3, 4, 2)\n"
        "folge, soll = np.random.randn(5, 3, 1), np.random.randn(5, 2, 1)\n"
        "netz.vorwärts(folge)\n"
        "fehler = netz.fehler(soll)\n"
        "ΔW, Δb = netz.rückwärts(soll)",
        "netz.vorwärts(folge) and netz.fehler(soll)",
        {"netz.gewichte": "ΔW", "netz.schwellen": "Δb"},
        ("    def rückwärts",),
    ),
    "folding": Truth(
        "r = np.random.randn\n"
        "w, xs, start = Weights(r(4, 3), r(4, 4), r(4, 5)), r(6, 2, 3), r(2, 4)\n"
        "path = nodes(w, xs, start)\n"
        "ys, dys = outputs(w, path), r(6, 2, 5)\n"
        "carry = gradients(w, path, dys)",
        "(outputs(w, nodes(w, xs, start)) * dys).sum()",
        {"w": "carry.total", "xs": "carry.dxs", "start": "carry.dnow"},
        ("def unstep", "def gradients"),
    ),
    "tape": Truth(
        "r, tape = np.random.randn, Tape()\n"
        "W, U, G, b, h = (Box(r(*shape)) for shape in ((3, 4), (4, 4), (3, 4), (4,), (2, 4)))\n"
        "xs = [Box(r(2, 3)) for _ in range(5)]\n"
        "end, seed = gated_walk(tape, W, U, G, b, xs, h), r(2, 4)\n"
        "tape.rewind(end, seed)",
        "(gated_walk(Tape(), W, U, G, b, xs, h).array * seed).sum()",
        {
            **{f"{k}.array": f"{k}.slope" for k in "WUGbh"},
            "[x.array for x in xs]": "[x.slope for x in xs]",
        },
        ("        def back", "    def rewind"),
    ),
    "single": Truth(
        "net = GatedSum(3, 4)\n"
        "x, h0, dh = (np.random.randn(*s).astype(np.float32) for s in ((2, 5, 3), (2, 4), (2, 5, 4)))\n"
        "hs = net.forward(x, h0)\n"
        "dx, dh0 = net.backward(dh)",
        "(net.forward(x, h0) * dh).sum()",
        {"net.w": "net.dw", "net.v": "net.dv", "x": "dx", "h0": "dh0"},
        ("    def backward",),
    ),
    "linked": Truth(
        "lower, upper = LayerOf(3, 4), LayerOf(4, 2)\n"
        "xs, masks = np.random.randn(5, 3), np.random.randint(0, 2, (5, 4))\n"
        "slopes = np.random.randn(5, 2)\n"
        "pairs = chain(lower, upper, xs, masks)\n"
        "dxs = unchain(pairs, masks, slopes)",
        "sum(b.h @ d for (a, b), d in zip(chain(lower, upper, xs, masks), slopes))",
        {"lower.M": "lower.dM", "upper.M": "upper.dM", "xs": "dxs"},
        ("    def undo", "def unchain"),
    ),
    "dilated": Truth(
        "net = Dilated(3, 4, 5)\n"
        "x, onehot = np.random.randn(6, 3, 2), np.eye(5)[np.random.randint(0, 5, (6, 2))].swapaxes(1, 2)\n"
        "cost = net.nll(x, onehot)\n"
        "g = net.grad()",
        "net.nll(x, onehot)",
        {"net.weights": "g"},
        ("    def grad",),
    ),
    "neighbours": Truth(
        "inner, outer = make_tables(9, 4)\n"
        "text, noise = [2, 5, 0, 2, 7, 1, 5, 8], np.random.randint(0, 9, (4, 3))\n"
        "before = total(inner, outer, text, noise)\n"
        "g_inner, g_outer = sweep(inner, outer, text, noise)",
        "total(inner, outer, text, noise)",
        {"inner": "g_inner", "outer": "g_outer"},
        ("def pair_step", "def sweep"),
    ),
    "pooling": Truth(
        "net = ForgetPool(3, 4)\n"
        "X, dH = np.random.randn(6, 2, 3), np.random.randn(6, 2, 4)\n"
        "H = net.forward(X)\n"
        "dX = net.backward(dH)",
        "(net.forward(X) * dH).sum()",
        {"net.W": "net.dW", "net.b": "net.db", "X": "dX"},
        ("    def backward",),
    ),
    "matrixmemory": Truth(
        "net = MatrixMemory(3, 4, 2)\n"
        "xs, start, dreads = np.random.randn(5, 3), np.random.randn(2, 4), np.random.randn(5, 2)\n"
        "reads = net.scan(xs, start)\n"
        "g, dxs, dstart = net.scan_back(dreads)",
        "(net.scan(xs, start) * dreads).sum()",
        {**{f"net.{k}": f"g['{k}']" for k in ("Wk", "Wq", "Wv", "fade")}, "xs": "dxs", "start": "dstart"},
        ("    def scan_back",),
    ),
}
