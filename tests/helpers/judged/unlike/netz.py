# -*- coding: utf-8 -*-
import numpy as np


class Netz:
    """Ein einfaches Elman-Netz; Spaltenvektoren; Gewichte in Listen."""

    def __init__(self, eingaenge, verdeckt, ausgaenge):
        self.größe = verdeckt
        self.gewichte = [np.random.randn(verdeckt, eingaenge), np.random.randn(verdeckt, verdeckt), np.random.randn(ausgaenge, verdeckt)]
        self.schwellen = [np.random.randn(verdeckt, 1), np.random.randn(ausgaenge, 1)]

    def vorwärts(self, folge):
        ein, rück, aus = self.gewichte
        self.folge = folge
        self.zustand = {0: np.zeros((self.größe, 1))}
        self.ausgabe = {}
        for zeit, wert in enumerate(folge, 1):
            self.zustand[zeit] = np.tanh(np.dot(ein, wert) + np.dot(rück, self.zustand[zeit - 1]) + self.schwellen[0])
            self.ausgabe[zeit] = np.dot(aus, self.zustand[zeit]) + self.schwellen[1]
        return self.ausgabe

    def fehler(self, soll):
        return sum(float(np.sum((self.ausgabe[z] - s) ** 2)) for z, s in enumerate(soll, 1)) / 2

    def rückwärts(self, soll):
        ein, rück, aus = self.gewichte
        ΔW = [np.zeros(w.shape) for w in self.gewichte]
        Δb = [np.zeros(s.shape) for s in self.schwellen]
        δh = np.zeros((self.größe, 1))
        zeit = len(self.folge)
        while zeit > 0:
            δy = self.ausgabe[zeit] - soll[zeit - 1]
            ΔW[2] += np.dot(δy, self.zustand[zeit].T)
            Δb[1] += δy
            δh = δh + np.dot(aus.T, δy)
            δa = np.multiply(δh, 1 - np.square(self.zustand[zeit]))
            ΔW[0] += np.dot(δa, self.folge[zeit - 1].T)
            ΔW[1] += np.dot(δa, self.zustand[zeit - 1].T)
            Δb[0] += δa
            δh = np.dot(rück.T, δa)
            zeit -= 1
        return ΔW, Δb
