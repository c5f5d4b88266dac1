import numpy


class WeatherForecaster:
    """Predicts tomorrow's readings from today's; LSTM; Java habits."""

    GATE_NAMES = ("keep", "write", "read", "fresh")

    def __init__(self, numInputs, numCells):
        self.numCells = numCells
        self.theWeights = {}
        for gateName in self.GATE_NAMES:
            self.theWeights[gateName + "X"] = numpy.random.normal(size=(numInputs, numCells))
            self.theWeights[gateName + "H"] = numpy.random.normal(size=(numCells, numCells))
            self.theWeights[gateName + "B"] = numpy.random.normal(size=numCells)
        self.theWeights["toOutput"] = numpy.random.normal(size=(numCells, numInputs))
        self.gradWeights = None

    def logistic(self, v):
        return 1.0 / (1.0 + numpy.exp(-v))

    def runForward(self, readings):
        w, days = self.theWeights, readings.shape[0]
        hidden = numpy.zeros((readings.shape[1], self.numCells))
        inside = numpy.zeros_like(hidden)
        self.history = []
        forecasts = numpy.zeros_like(readings)
        for day in range(days):
            act = {}
            for gateName in self.GATE_NAMES:
                drive = readings[day] @ w[gateName + "X"] + hidden @ w[gateName + "H"] + w[gateName + "B"]
                act[gateName] = numpy.tanh(drive) if gateName == "fresh" else self.logistic(drive)
            newInside = act["keep"] * inside + act["write"] * act["fresh"]
            newHidden = act["read"] * numpy.tanh(newInside)
            self.history.append((readings[day], hidden, inside, act, newInside, newHidden))
            hidden, inside = newHidden, newInside
            forecasts[day] = hidden @ w["toOutput"]
        return forecasts

    def squaredMiss(self, readings, truths):
        self.miss = self.runForward(readings) - truths
        return 0.5 * numpy.sum(self.miss**2)

    def runBackward(self):
        w = self.theWeights
        g = {name: numpy.zeros_like(value) for name, value in w.items()}
        hiddenBack, insideBack = 0.0, 0.0
        for day in range(len(self.history) - 1, -1, -1):
            x, oldHidden, oldInside, act, newInside, newHidden = self.history[day]
            g["toOutput"] += newHidden.T @ self.miss[day]
            onHidden = self.miss[day] @ w["toOutput"].T + hiddenBack
            squashed = numpy.tanh(newInside)
            onInside = insideBack + onHidden * act["read"] * (1 - squashed**2)
            drive = {
                "keep": onInside * oldInside * act["keep"] * (1 - act["keep"]),
                "write": onInside * act["fresh"] * act["write"] * (1 - act["write"]),
                "read": onHidden * squashed * act["read"] * (1 - act["read"]),
                "fresh": onInside * act["write"] * (1 - act["fresh"] ** 2),
            }
            hiddenBack = numpy.zeros_like(oldHidden)
            for gateName, d in drive.items():
                g[gateName + "X"] += x.T @ d
                g[gateName + "H"] += oldHidden.T @ d
                g[gateName + "B"] += d.sum(axis=0)
                hiddenBack += d @ w[gateName + "H"].T
            insideBack = onInside * act["keep"]
        self.gradWeights = g
