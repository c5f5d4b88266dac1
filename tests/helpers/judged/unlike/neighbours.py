"""Words from their neighbours: a mean of context vectors against one true word and some false ones; logistic loss."""
import numpy as np


def make_tables(n_words, n_dim):
    inner = (np.random.rand(n_words, n_dim) - 0.5) * 2
    outer = (np.random.rand(n_words, n_dim) - 0.5) * 2
    return inner, outer


def pair_loss(inner, outer, context, true_word, false_words):
    mean = inner[context].mean(axis=0)
    right = outer[true_word] @ mean
    wrong = outer[false_words] @ mean
    return np.log1p(np.exp(-right)) + np.log1p(np.exp(wrong)).sum()


def pair_step(inner, outer, context, true_word, false_words, g_inner, g_outer):
    mean = inner[context].mean(axis=0)
    g_right = 1 / (1 + np.exp(-outer[true_word] @ mean)) - 1
    g_wrong = 1 / (1 + np.exp(-outer[false_words] @ mean))
    g_mean = g_right * outer[true_word] + g_wrong @ outer[false_words]
    g_outer[true_word] += g_right * mean
    np.add.at(g_outer, false_words, np.outer(g_wrong, mean))
    np.add.at(g_inner, context, g_mean / len(context))


def windows(text, reach):
    for k in range(reach, len(text) - reach):
        yield text[k - reach : k] + text[k + 1 : k + reach + 1], text[k]


def total(inner, outer, text, noise, reach=2):
    return sum(pair_loss(inner, outer, c, w, n) for (c, w), n in zip(windows(text, reach), noise))


def sweep(inner, outer, text, noise, reach=2):
    g_inner, g_outer = np.zeros_like(inner), np.zeros_like(outer)
    for (c, w), n in zip(windows(text, reach), noise):
        pair_step(inner, outer, c, w, n, g_inner, g_outer)
    return g_inner, g_outer
