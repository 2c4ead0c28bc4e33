# The peer of train.ts: the same factorized student and the same training step in PyTorch, for one process's life.
# usage: train_peer.py DESCRIPTION.json      (written by train.ts, which then asks for steps, one line of JSON at a time)
#
# Written as PyTorch is at its fastest on a CPU: fused attention, no masks where is_causal does, one flat list of modules.
# Every way to run the step (eager or compiled, the forms of the divergence, the forms of AdamW) is tried and the fastest is kept.
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Factors(nn.Module):
    """A vocabulary as U W: rows are looked up through both, states are projected through both. Without a rank: one table."""

    def __init__(self, vocabulary, width, rank):
        super().__init__()
        self.left = nn.Parameter(torch.randn(vocabulary, rank or width) * 0.1)
        self.right = nn.Parameter(torch.randn(rank, width) * 0.1) if rank else None

    def rows(self, ids):
        rows = F.embedding(ids, self.left)
        return rows if self.right is None else rows @ self.right

    def scores(self, states):
        return F.linear(states if self.right is None else F.linear(states, self.right), self.left)


class SelfAttention(nn.Module):
    """GPT-2's: one product for queries, keys and values."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


class Gpt2Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary, width, heads, layers, positions, rank):
        super().__init__()
        self.factors = Factors(vocabulary, width, rank)
        self.positions = nn.Parameter(torch.randn(positions, width) * 0.1)
        self.blocks = nn.ModuleList(Gpt2Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.factors.rows(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.factors.scores(self.norm(x))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x, states, mask):
        split = lambda y: y.view(*y.shape[:2], self.heads, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(self.q(x)), split(self.k(states)), split(self.v(states)), attn_mask=mask)
        return self.norm(x + self.out(y.transpose(1, 2).reshape(x.shape)))


class FeedForward(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        return self.norm(x + self.down(F.relu(self.up(x))))


class Ssru(nn.Module):
    """c(t) = f(t) c(t-1) + (1 - f(t)) W x(t); a loop over positions, which is faster here than the form without one."""

    def __init__(self, width):
        super().__init__()
        self.f, self.w = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        f = torch.sigmoid(self.f(x))
        inner = ((1 - f) * self.w(x)).unbind(1)
        states = [inner[0]]
        for at, forget in enumerate(f.unbind(1)[1:], 1):
            states.append(forget * states[-1] + inner[at])
        return self.norm(x + F.relu(torch.stack(states, 1)))


class Marian(nn.Module):
    """Post-norm encoder, SSRU decoder, one table for source, target and projection, as the translator of the figures has it."""

    def __init__(self, vocabulary, width, heads, inner, encoder, decoder, rank):
        super().__init__()
        self.scale = width**0.5
        self.factors = Factors(vocabulary, width, rank)
        self.register_buffer("positions", torch.randn(512, width) * 0.1)
        self.encoder = nn.ModuleList(nn.ModuleList([Attention(width, heads), FeedForward(width, inner)]) for _ in range(encoder))
        self.decoder = nn.ModuleList(
            nn.ModuleList([Ssru(width), Attention(width, heads), FeedForward(width, inner)]) for _ in range(decoder)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens, source, mask):
        seen = ((1 - mask) * -1e9)[:, None, None, :]
        x = self.factors.rows(source) * self.scale + self.positions[: source.shape[1]]
        for attention, feed in self.encoder:
            x = feed(attention(x, x, seen))
        y = self.factors.rows(tokens) * self.scale
        y = torch.cat([torch.zeros_like(y[:, :1]), y[:, 1:]], 1) + self.positions[: tokens.shape[1]]
        for ssru, attention, feed in self.decoder:
            y = feed(attention(ssru(y), x, seen))
        return self.factors.scores(y) + self.bias


def divergence_of_probabilities(student, teacher):
    return F.kl_div(F.log_softmax(student, -1), F.softmax(teacher, -1), reduction="sum") / student.shape[:-1].numel()


def divergence_of_logarithms(student, teacher):
    return F.kl_div(F.log_softmax(student, -1), F.log_softmax(teacher, -1), reduction="sum", log_target=True) / student.shape[:-1].numel()


def divergence_by_cross_entropy(student, teacher):
    """Cross-entropy with the teacher's probabilities, less the teacher's entropy."""
    flat = teacher.flatten(0, -2)
    logarithms = F.log_softmax(flat, -1)
    p = logarithms.exp()
    return F.cross_entropy(student.flatten(0, -2), p) + (p * logarithms).sum() / len(flat)


DIVERGENCES = [divergence_of_probabilities, divergence_of_logarithms, divergence_by_cross_entropy]


class Step:
    """One training step: forward, backward, clipping, AdamW."""

    def __init__(self, model, inputs, teacher, trained, divergence, optimizer, compiled):
        self.parameters = trained
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, betas=(0.9, 0.99), **{optimizer: True})
        loss = lambda: divergence(model(*inputs), teacher)
        self.loss = torch.compile(loss) if compiled else loss

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        return loss.item()


def milliseconds(step, count):
    """[elapsed, of all cores together] of each of `count` runs."""
    times = []
    for _ in range(count):
        start, cores = time.perf_counter(), time.process_time()
        step()
        times.append([1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cores)])
    return times


def main():
    with open(sys.argv[1]) as file:
        about = json.load(file)
    torch.set_num_threads(about["threads"])
    torch.manual_seed(0)
    read = lambda tensor: torch.from_numpy(np.fromfile(tensor["file"], tensor["dtype"]).reshape(tensor["dims"]))
    inputs = [read(tensor) for tensor in about["inputs"]]
    teacher = read(about["teacher"])
    make = {"gpt2": Gpt2, "marian": Marian}[about["kind"]]
    model = make(**about["sizes"], rank=about["rank"])
    if about["train"] == "factors":
        model.requires_grad_(False)
        model.factors.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    original = make(**about["sizes"], rank=0).eval()

    def forward():
        with torch.no_grad():
            original(*inputs)

    # Which way is fastest, each after two steps that warm it up.
    tried = {}
    for compiled in [False, True] if about["compile"] else [False]:
        for divergence in DIVERGENCES if not compiled else [min(tried, key=tried.get)[0]]:
            for optimizer in ["fused", "foreach"] if divergence is DIVERGENCES[0] else ["fused"]:
                try:
                    step = Step(model, inputs, teacher, trained, divergence, optimizer, compiled)
                    milliseconds(step, 2)
                    tried[divergence, optimizer, compiled] = min(milliseconds(step, 3))[0]
                except Exception as error:
                    print(f"{divergence.__name__} {optimizer} compiled={compiled}: {error}"[:300], file=sys.stderr)
    eager = min((way for way in tried if not way[2]), key=tried.get)
    fastest = min(tried, key=tried.get)
    steps = {way: Step(model, inputs, teacher, trained, *way) for way in {eager, fastest}}
    for step in steps.values():
        milliseconds(step, 2)
    milliseconds(forward, 2)
    name = lambda divergence, optimizer, compiled: f"{divergence.__name__}, {optimizer} AdamW, {'compiled' if compiled else 'eager'}"
    said = {
        "version": torch.__version__,
        "eager": name(*eager),
        "fastest": name(*fastest),
        "tried": {name(*way): round(time, 1) for way, time in tried.items()},
        "parameters": sum(parameter.numel() for parameter in trained),
    }
    print(json.dumps(said), flush=True)
    for line in sys.stdin:
        what, count = json.loads(line)
        print(json.dumps(milliseconds({"eager": steps[eager], "fastest": steps[fastest], "forward": forward}[what], count)), flush=True)


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
main()
