"""Pairs of independent models of awkward kinds: `hallmark fork compare` must call none of them
dependent. One line for each kind: pairs, accusations, verdicts, the smallest p; then the realised
error of each statistic that stated a p. usage: HALLMARK_BIN=build/hallmark forks_nulls.py [--pairs N]
[--only WORD] [--markdown FILE]; exits 1 after an accusation. Needs torch; run by hand."""
import argparse
import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile

import torch

import forks_models as fm

LIBRARY = 'one seed of a library, other shapes'  # the same numbers: no null of a p-value
HALLMARK = os.environ.get('HALLMARK_BIN', 'build/hallmark')


def gen(seed):
    return torch.Generator().manual_seed(seed)


def small(kind='dense', **k):
    return fm.config(kind, **{**dict(H=32, L=6, h=32, V=64, heads=4, kv=2, hd=16, E=8), **k})


# ---- initialisers that libraries and papers have, and worse ----

def orthogonal(r, c, g):
    q = torch.linalg.qr(torch.randn(max(r, c), min(r, c), generator=g))[0]
    return q if r >= c else q.T


def identity(r, c, g):
    return torch.eye(r, c) + .1 * torch.randn(r, c, generator=g) / c ** .5


def sinusoid(r, c, g):
    at = torch.arange(r)[:, None] * torch.arange(1, c + 1)[None] * .1
    return at.sin() + .2 * torch.randn(r, c, generator=g)


def sorted_rows(r, c, g):
    v = torch.randn(r, c, generator=g)
    return v[v[:, 0].argsort()]


def sorted_norms(r, c, g):
    v = torch.randn(r, c, generator=g) * torch.rand(r, 1, generator=g)
    return v[v.norm(dim=1).argsort()]


def blocks(r, c, g):
    mask = (torch.arange(r)[:, None] * 4 // r) == (torch.arange(c)[None] * 4 // c)
    return torch.randn(r, c, generator=g) * mask


def banded(r, c, g):
    far = (torch.arange(r)[:, None] / r - torch.arange(c)[None] / c).abs()
    return torch.randn(r, c, generator=g).abs() * (far < .1)


def constant(r, c, g):
    return torch.full((r, c), .01) + 1e-4 * torch.randn(r, c, generator=g)


def one_direction(r, c, g):
    return .02 * torch.randn(r, c, generator=g) + .05 * torch.linspace(-1, 1, c)[None]


def heavy(r, c, g):
    outliers = torch.exp(2 * torch.randn(c, generator=gen(99)))
    return torch.randn(r, c, generator=g) * outliers / torch.rand(r, c, generator=g).clamp_min(.02)


def low_rank(r, c, g):
    return torch.randn(r, 2, generator=g) @ torch.randn(2, c, generator=g)


def ramp(r, c, g):
    return torch.randn(r, c, generator=g) + torch.linspace(-2, 2, r)[:, None] * torch.ones(c)


def sparse(r, c, g):
    v = torch.zeros(r, c)
    v[torch.arange(r), torch.arange(r) % c] = 1
    return v + (torch.rand(r, c, generator=g) < .05) * torch.randn(r, c, generator=g)


INITIALISERS = dict(gaussian=fm.normal, orthogonal=orthogonal, identity=identity, sinusoid=sinusoid,
                    sorted_rows=sorted_rows, sorted_norms=sorted_norms, blocks=blocks, banded=banded,
                    constant=constant, one_direction=one_direction, heavy=heavy, low_rank=low_rank,
                    ramp=ramp, sparse=sparse)


# ---- what two models can share without one being made of the other ----

def shared_ends(m, seed=5):
    o = fm.fresh(m.c, seed)
    for k in ('model.embed_tokens.weight', 'lm_head.weight'):
        m.w[k] = o.w[k]
    return m


def padded(m, share, place='end'):
    """A share of the units is zero: the last ones, or at places that all models have."""
    for i, s in enumerate(m.mlps()):
        n = m.w[s + 'gate_proj.weight'].shape[0]
        dead = torch.arange(n)[n - int(n * share):]
        if place != 'end':
            dead = torch.randperm(n, generator=gen(i))[:int(n * share)]
        for p in ('gate', 'up'):
            m.w[s + p + '_proj.weight'][dead] = 0
        m.w[s + 'down_proj.weight'][:, dead] = 0
    return m


def pruned_alike(m):
    """The same mask in all models: two of four."""
    for k in fm.matrices(m):
        if 'layers' in k:
            m.w[k] = m.w[k] * ((torch.arange(m.w[k].shape[1]) % 4) < 2)
    return m


def tower(m, seed=5):
    g = gen(seed)
    for i in range(4):
        for n, r, c in (('gate', 48, 32), ('up', 48, 32), ('down', 32, 48)):
            m.w[f'vision_tower.layers.{i}.mlp.{n}_proj.weight'] = fm.normal(r, c, g)
    return m


def draft(m, seed=6):
    o, n = fm.fresh(m.c, seed), m.c['num_hidden_layers']
    for k, v in o.w.items():
        if k.startswith('model.layers.0.'):
            m.w['mtp.layers.0.' + k[len('model.layers.0.'):]] = v
    m.w['mtp.fc.weight'] = fm.normal(m.c['hidden_size'], 2 * m.c['hidden_size'], gen(seed + n))
    return m


def shared_norms(m):
    g = gen(4)
    for k, v in m.w.items():
        if v.dim() == 1:
            m.w[k] = 1 + torch.randn(v.shape, generator=g)
    return m


def shared_expert(m, zero):
    for i in range(m.c['num_hidden_layers']):
        g = gen(m.seed * 100 + i)
        h, H = 32, m.c['hidden_size']
        v = [torch.randn(h, H, generator=g) * .2 for _ in range(3)]
        for x in v:
            x[h - int(h * zero):] = 0
        for n, x in zip(('gate', 'up', 'down'), v):
            m.w[f'model.layers.{i}.mlp.shared_expert.{n}_proj.weight'] = x.T if n == 'down' else x
    return m


def library_seed(c):
    """Everything drawn from one generator with the library's usual seed: of other shapes, so that the
    same numbers come to stand at other places, but for the first of them."""
    return fm.fresh(c, 0)


def made(f, c, kind=fm.normal):
    def one(seed):
        m = fm.fresh(c, seed, kind)
        m.seed = seed
        return f(m)
    return one


def kinds():
    """name -> a maker of independent models by seed."""
    for name, init in INITIALISERS.items():
        for shape in ('dense', 'moe'):
            yield f'{name}, {shape}', made(lambda m: m, small(shape), init)
    dense, moe = small(), small('moe', L=4)
    yield 'embedding and head shared', made(shared_ends, dense)
    yield 'embedding shared, experts', made(shared_ends, moe)
    for share in (.25, .5, .875):
        yield f'{share:.0%} zero units at the end', made(lambda m, s=share: padded(m, s), dense)
        yield f'{share:.0%} zero units at the same places', made(lambda m, s=share: padded(m, s, 'x'), moe)
        yield f'{share:.0%} zero units in the shared expert', \
            made(lambda m, s=share: shared_expert(m, s), moe)
    yield 'pruned by one mask', made(pruned_alike, dense)
    yield 'one vision tower', made(tower, dense)
    yield 'one draft layer', made(draft, dense)
    yield 'one set of norms', made(shared_norms, dense)
    yield 'upcycled each on its own', made(fm.upcycled, dense)
    yield 'layers repeated in both', made(lambda m: fm.layers(m, [0, 0, 1, 1, 2, 2, 3, 3]), dense)
    yield 'one layer alone', made(lambda m: m, small(L=1))
    yield 'one layer of experts', made(lambda m: m, small('moe', L=1, E=26, h=24))
    yield 'int4 in both', made(lambda m: fm.rounded(m, 4, 16), dense)
    yield 'wide', made(lambda m: m, small(H=192, h=320, L=3))


def library_pairs():
    """Models that a library seeded alike; no two have the same shapes."""
    shapes = [dict(V=v, H=H, h=h) for v in (64, 80, 112) for H, h in ((32, 40), (32, 56), (48, 40))]
    models = [library_seed(small('dense', **s)) for s in shapes]
    models += [library_seed(small('moe', **s)) for s in shapes]
    for a, b in itertools.combinations(models, 2):
        if any(a.c[k] != b.c[k] for k in ('vocab_size', 'hidden_size', 'intermediate_size')):
            yield a, b


def trained_pairs():
    """Same data and order, other seeds; students of one teacher with it and among themselves."""
    c = small('dense', L=4)
    alike = [fm.train(fm.fresh(c, s), steps=80) for s in range(6)]
    pupils = [fm.train(fm.fresh(c, 100 + s), steps=80, order=s, teacher=alike[0]) for s in range(4)]
    for a, b in itertools.combinations(alike + pupils, 2):
        yield a, b
    c = small('moe', L=3)
    alike = [fm.train(fm.fresh(c, s), steps=60) for s in range(5)]
    for a, b in itertools.combinations(alike, 2):
        yield a, b


def compare(folder, a, b):
    for name, m in (('a', a), ('b', b)):
        if m is not None:
            m.write(os.path.join(folder, name))
    p = subprocess.run([HALLMARK, 'fork', 'compare', os.path.join(folder, 'a'), os.path.join(folder, 'b'),
                        '--json'], capture_output=True, text=True)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return dict(verdict='refused ' + (p.stderr + p.stdout).strip()[:160], p_value=None, statistics={})


def report(name, found, errors, lines):
    verdicts, least = collections.Counter(), 1
    for d in found:
        verdicts[d['verdict']] += 1
        least = min([least] + [d['p_value']] * (d['p_value'] is not None))
        for k, s in (d.get('statistics') or {}).items() if name != LIBRARY else ():
            if isinstance(s, dict) and s.get('p_value') is not None:
                errors[k].append(s['p_value'])
    bad = verdicts['dependent-initialisation'] + verdicts['identical']
    said = ', '.join(f'{n} {v}' for v, n in verdicts.most_common())
    lines.append(f'| {name} | {len(found)} | {bad} | {said} | {least:.2g} |')
    print(lines[-1], flush=True)
    return bad


def main():
    o = argparse.ArgumentParser()
    o.add_argument('--pairs', type=int, default=28)
    o.add_argument('--only', default='')
    o.add_argument('--markdown')
    o = o.parse_args()
    errors, lines, bad, total = collections.defaultdict(list), [], 0, 0
    sources = [(name, [(make(2 * i + 1000), make(2 * i + 1001)) for i in range(o.pairs)])
               for name, make in kinds() if o.only in name]
    if o.only in LIBRARY:
        sources.append((LIBRARY, library_pairs()))
    if o.only in 'trained alike, distilled':
        sources.append(('trained alike, distilled', trained_pairs()))
    with tempfile.TemporaryDirectory() as folder:
        for name, pairs in sources:
            found = [compare(folder, a, b) for a, b in pairs]
            total += len(found)
            bad += report(name, found, errors, lines)
    for k, p in sorted(errors.items()):
        lines.append(f'| {k}: p of {len(p)} pairs | | | ' + ', '.join(
            f'{sum(x <= t for x in p) / len(p):.2%} at {t:.1%}' for t in (.05, .01, .001)) + ' | |')
        print(lines[-1])
    print(f'{bad} accusations among {total} independent pairs')
    if o.markdown:
        with open(o.markdown, 'w') as f:
            f.write('| kind | pairs | accused | verdicts | least p |\n|---|---|---|---|---|\n')
            f.writelines(line + '\n' for line in lines)
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
