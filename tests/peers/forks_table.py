"""What `hallmark fork compare` says of everything that is done to models: one row for each change,
as bench/results/forks.md has them. Two batches of other shapes and seeds: the second is scored with
nothing changed after the first. usage: HALLMARK_BIN=build/hallmark forks_table.py [--batch 1|2]
[--only WORD] [--markdown FILE]; exits 1 if a row is not as it should be. Needs torch."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch

import forks_models as fm

HALLMARK = os.environ.get('HALLMARK_BIN', 'build/hallmark')
FOUND = ('identical', 'dependent-initialisation')
SHAPES = {1: dict(dense=dict(L=6, H=64, h=96), moe=dict(L=3, H=64, h=48, E=8)),
          2: dict(dense=dict(L=9, H=96, h=80, heads=6, kv=3, hd=16), moe=dict(L=4, H=48, h=40, E=6, heads=4))}


def compare(a, b):
    p = subprocess.run([HALLMARK, 'fork', 'compare', a, b, '--json'], capture_output=True, text=True)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return dict(verdict='refused: ' + (p.stderr + p.stdout).strip()[:100], p_value=None, effect=None,
                    statistics={}, findings=[])


def dependent(base, other, kind, seed):
    """(name, model, how it is written) of everything that descends from base."""
    c, N = base.c, base.c['num_hidden_layers']
    order = list(range(N))
    strange = fm.fresh(c, seed + 77)
    tuned = fm.train(base, world=2, steps=40, rate=1e-3, order=seed)
    pre = fm.train(base, world=3, steps=120, rate=4e-3, order=seed)
    yield 'fine-tuned', tuned, {}
    yield f'continued pre-training ({fm.relative_change(base, pre):.0%})', pre, {}
    yield 'same first weights, other data', fm.train(fm.fresh(c, seed), world=5), {}
    yield 'LoRA merged', fm.lora(base), {}
    yield 'noise 5 %', fm.noise(base, .05), {}
    yield 'noise 100 %', fm.noise(base, 1), {}
    yield 'merged with a relative', fm.mixed(tuned, pre), {}
    yield 'merged with a stranger', fm.mixed(base, other), {}
    yield 'int8 by row', fm.rounded(base, 8, 1 << 30), {}
    yield 'int4, groups of 16', fm.rounded(base, 4, 16), {}
    yield 'FP8', fm.fp8(base), {}
    yield 'pruned 50 %', fm.pruned(base, .5), {}
    yield 'pruned 80 %', fm.pruned(base, .8), {}
    yield 'continued + int4', fm.rounded(pre, 4, 16), {}
    yield 'as F32', base, dict(dtype=torch.float32)
    yield 'as F16', base, dict(dtype=torch.float16)
    yield 'prefix language_model.', base, dict(prefix='language_model.')
    yield 'prefix, fine-tuned', tuned, dict(prefix='model.language_model.')
    yield 'unusual file name, fine-tuned', tuned, dict(name='weights-final.safetensors')
    yield 'fused qkv and gate_up', fm.fused(base), {}
    yield 'fused, fine-tuned', fm.fused(tuned), {}
    yield 'key-value heads repeated, fine-tuned', fm.heads_repeated(tuned), {}
    yield 'embedding new, other vocabulary', fm.new_vocabulary(base), {}
    yield 'units shifted by one', fm.shifted(base), {}
    yield 'one zero unit appended', fm.zero_unit(base), {}
    yield 'layer that does nothing in front', fm.layers(base, [-1] + order, strange), {}
    yield 'first layer dropped', fm.layers(base, order[1:]), {}
    yield 'middle layer dropped, fine-tuned', fm.layers(tuned, order[:N // 2] + order[N // 2 + 1:]), {}
    yield 'layers repeated', fm.layers(base, order[:N - 1] + order[1:]), {}
    yield 'layers reversed', fm.layers(base, order[::-1]), {}
    yield 'units permuted', fm.permuted(base), {}
    yield 'heads permuted', fm.heads_permuted(base), {}
    yield 'units and heads permuted, fine-tuned', fm.heads_permuted(fm.permuted(tuned)), {}
    yield 'residual stream rotated', fm.turned(base), {}
    yield 'rotated, fine-tuned, int4', fm.rounded(fm.turned(tuned), 4, 16), {}
    yield 'gate and up rescaled', fm.rescaled(base), {}
    yield 'units dropped', fm.narrower(base), {}
    yield 'residual dimensions dropped', fm.thinner(base), {}
    if kind == 'moe':
        yield 'experts permuted', fm.experts_permuted(base), {}
        yield 'experts and units permuted', fm.permuted(fm.experts_permuted(base)), {}
        yield 'experts merged by twos', fm.fewer_experts(base, True), {}
        yield 'every second expert dropped', fm.fewer_experts(base, False), {}
        yield 'stacked experts, fine-tuned', fm.stacked(tuned, False), {}
        yield 'stacked and transposed, fine-tuned', fm.stacked(tuned, True), {}
        yield 'Mixtral names, fine-tuned', fm.renamed(tuned, fm.mixtral_names), {}
    else:
        yield 'Llama names, fine-tuned', fm.renamed(tuned, fm.llama_names), {}
        yield 'upcycled to experts', fm.upcycled(base), {}
        yield 'upcycled, permuted', fm.permuted(fm.upcycled(base)), {}
    yield 'shifted and zero unit', fm.zero_unit(fm.shifted(base)), {}
    yield 'no-op layer and permuted', fm.permuted(fm.layers(base, [-1] + order, strange)), {}
    yield 'permuted and rotated', fm.turned(fm.permuted(base)), {}
    yield 'composed: continued, rotated, permuted, int4', \
        fm.rounded(fm.heads_permuted(fm.permuted(fm.turned(pre))), 4, 16), {}


def independent(base, kind, seed):
    """(name, model, how) of what must not be found."""
    c = base.c
    yield 'other seed, same data and order', fm.train(fm.fresh(c, seed + 1)), {}
    yield 'other seed, other data', fm.train(fm.fresh(c, seed + 2), world=4, order=seed), {}
    student = fm.fresh(c, seed + 3)
    yield 'distilled', fm.train(student, order=seed + 9, teacher=base, steps=200), {}
    shared = fm.fresh(c, seed + 4)
    for k in ('model.embed_tokens.weight', 'lm_head.weight'):
        shared.w[k] = base.w[k].clone()
    yield 'embedding and head of the base', fm.train(
        shared, order=seed + 5, only=lambda k: 'layers.' in k), {}


def row(batch, kind, want, name, d):
    good = (d['verdict'] in FOUND) == want and not (not want and d['verdict'].startswith('refused'))
    s = d.get('statistics') or {}
    rungs = ' '.join(k for k, v in s.items() if isinstance(v, dict) and v.get('p_value') is not None
                     and v['p_value'] <= 1e-4)
    p, lp, e = d.get('p_value'), d.get('log10_p'), d.get('effect')
    text = '-' if p is None else f'{p:.3g}' if p > 1e-300 or lp is None else f'1e{lp:.0f}'
    effect = '-' if e is None else f'{e:.3g}'
    line = f"| {batch} | {kind} | {name} | {'yes' if want else 'no'} | {rungs or '-'} | {text} | {effect} " \
           f"| {d['verdict']} | {'' if good else 'NO'} |"
    print(line, flush=True)
    return good, line


def score(batch, kind, only, folder):
    seed = 1000 * batch + (0 if kind == 'dense' else 500)
    c = fm.config(kind, **SHAPES[batch][kind])
    base = fm.train(fm.fresh(c, seed))
    a = base.write(os.path.join(folder, 'base'))
    other = fm.train(fm.fresh(c, seed + 50), world=6)
    for want, models in ((True, dependent(base, other, kind, seed)), (False, independent(base, kind, seed))):
        for name, m, how in models:
            if only and only not in name:
                continue
            b = os.path.join(folder, 'b')
            subprocess.run(['rm', '-rf', b], check=True)
            yield row(batch, kind, want, name, compare(a, m.write(b, **how)))


def main():
    o = argparse.ArgumentParser()
    o.add_argument('--batch', type=int)
    o.add_argument('--only', default='')
    o.add_argument('--kind', default='')
    o.add_argument('--markdown')
    o = o.parse_args()
    rows = []
    for batch in [o.batch] if o.batch else SHAPES:
        for kind in [o.kind] if o.kind else ('dense', 'moe'):
            with tempfile.TemporaryDirectory() as folder:
                rows += list(score(batch, kind, o.only, folder))
    if o.markdown:
        with open(o.markdown, 'w') as f:
            f.write('| batch | kind | change | depends | rungs below 1e-4 | p | effect | verdict | |\n'
                    '|---|---|---|---|---|---|---|---|---|\n')
            f.writelines(line + '\n' for _, line in rows)
    bad = sum(not good for good, _ in rows)
    print(f'{len(rows) - bad} of {len(rows)} as they should be')
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
