"""Is a review kind? One number after the last word; sigmoid and binary cross-entropy; momentum."""
import numpy as np


class Opinion:
    def __init__(self, d, h, step=0.05, drag=0.9):
        self.theta = np.random.randn(d * h + h * h + h + h + 1) * 0.4
        self.speed = np.zeros_like(self.theta)
        self.d, self.h, self.step, self.drag = d, h, step, drag

    def parts(self, flat):
        d, h = self.d, self.h
        cuts = np.cumsum([d * h, h * h, h, h])
        a, b, c, w, k = np.split(flat, cuts)
        return a.reshape(d, h), b.reshape(h, h), c, w, k

    def chance(self, reviews):
        A, B, c, w, k = self.parts(self.theta)
        N, T, _ = reviews.shape
        self.track = [np.zeros((N, self.h))]
        for t in range(T):
            self.track.append(np.tanh(reviews[:, t] @ A + self.track[-1] @ B + c))
        self.p = 1 / (1 + np.exp(-(self.track[-1] @ w + k)))
        return self.p

    def cost(self, reviews, kind):
        p = self.chance(reviews)
        return -np.mean(kind * np.log(p + 1e-10) + (1 - kind) * np.log(1 - p + 1e-10))

    def study(self, reviews, kind):
        cost = self.cost(reviews, kind)
        A, B, c, w, k = self.parts(self.theta)
        flat = np.zeros_like(self.theta)
        gA, gB, gc, gw, gk = self.parts(flat)
        T = reviews.shape[1]
        dlogit = (self.p - kind) / len(kind)
        gw += self.track[-1].T @ dlogit
        gk += dlogit.sum()
        dh = np.outer(dlogit, w)
        for t in range(T, 0, -1):
            da = dh * (1 - self.track[t] ** 2)
            gA += reviews[:, t - 1].T @ da
            gB += self.track[t - 1].T @ da
            gc += da.sum(axis=0)
            dh = da @ B.T
        self.speed = self.drag * self.speed - self.step * flat
        self.theta += self.speed
        return cost
