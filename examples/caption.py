"""Start a sequence from a feature vector, as in captioning: the features give the first state.

The "images" are made here: a vector of features that says which of four shapes and four colours a
picture shows, with noise. The model learns to write the words, from the features alone.

    python examples/caption.py
"""

import numpy as np

import bptt

COLOURS = ("red", "green", "blue", "white")
SHAPES = ("circle", "square", "star", "cross")
WORDS = ("<start>", "<end>", "a", "on", "black", *COLOURS, *SHAPES)
F = 12
"""Size of a feature vector."""


def pictures(rng: np.random.Generator, directions: np.ndarray, N: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, F) and captions (T + 1, N): `<start> a red star on black <end>`."""
    colour, shape = rng.integers(4, size=N), rng.integers(4, size=N)
    features = directions[colour] + directions[4 + shape] + 0.3 * rng.standard_normal((N, F))
    captions = [
        [WORDS.index(word) for word in ("<start>", "a", COLOURS[c], SHAPES[s], "on", "black", "<end>")]
        for c, s in zip(colour, shape, strict=True)
    ]
    return features.astype(np.float32), np.array(captions).T


def describe(model: bptt.Model, params: dict[str, np.ndarray], features: np.ndarray) -> str:
    """Return the likeliest caption of one picture, word by word."""
    said: list[str] = []
    word = WORDS.index("<start>")
    run = model.forward(params, np.array([[word]]), features=features[None])
    while len(said) < 8 and (word := int(run.outputs[-1, 0].argmax())) != WORDS.index("<end>"):
        said.append(WORDS[word])
        run = model.forward(params, np.array([[word]]), run.state)
    return " ".join(said)


def main(steps: int = 300) -> float:
    rng = np.random.default_rng(0)
    directions = 2 * rng.standard_normal((8, F))
    model = bptt.Model(inputs=len(WORDS), outputs=len(WORDS), hidden=32, embedding=16, features=F)
    params = model.init(rng)
    adam = bptt.optim.Adam()
    slots = adam.init(params)
    for step in range(steps):
        features, captions = pictures(rng, directions, 32)
        loss, grads, _ = model.loss_and_grads(params, captions[:-1], captions[1:], features=features)
        adam.update(params, grads, slots, lr=1e-2)
        if step % 100 == 0:
            print(f"step {step:4}  {loss:.4f} nats per word")

    features, captions = pictures(rng, directions, 200)
    right = 0
    for n in range(200):
        said = describe(model, params, features[n])
        right += said == " ".join(WORDS[k] for k in captions[1:-1, n])
        if n < 4:
            print(f"  {said}")
    print(f"{right} of 200 new pictures described rightly")
    return right / 200


if __name__ == "__main__":
    main()
