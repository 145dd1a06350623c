"""What `hallmark fork audit` tells of honest cards and of false ones, over everything that is done to
models (forks_models.py): an honest card, however it spells its base, gets notes alone; of one that
names a stranger, or nobody, it is said wherever the weights decide. usage:
HALLMARK_BIN=build/hallmark forks_cards.py [--kind dense|moe] [--only WORD]; exits 1 if one is not as
it should be. Needs torch (run by hand)."""
import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile

import forks_models as fm
import forks_table as table

HALLMARK = os.path.abspath(os.environ.get('HALLMARK_BIN', 'build/hallmark'))
SPELLINGS = ['acme/Base', 'https://huggingface.co/acme/base/tree/main', '[acme/base]',
             '\n- "ACME/Base" # ours', 'hf://acme/base@main', './base', 'base', 'acme/base-GGUF',
             '/data/models/run-7', 'old-acme/base',
             'https://modelscope.cn/models/acme/base']
ROUNDED = ('int8', 'int4', 'FP8')
SAME = ('as F16', 'as F32', 'prefix language_model.')  # with the card of the base: a copy of it


def run(home, *args):
    p = subprocess.run([HALLMARK, *args], capture_output=True, text=True,
                       env={**os.environ, 'HALLMARK_HOME': home})
    try:
        return json.loads(p.stdout)
    except ValueError:
        said = (p.stderr + p.stdout).strip()[:100]
        return dict(verdict='refused: ' + said, parent=None, findings=[])


def told(home, model, how, folder, card):
    b = os.path.join(folder, 'b')
    subprocess.run(['rm', '-rf', b], check=True)
    model.write(b, card=card, **how)
    return run(home, 'fork', 'audit', b, '--json', '--quiet')


def worst(d, kinds=()):
    order = ['note', 'warning', 'contradiction']
    seen = [f for f in d['findings'] if not kinds or f['kind'] in kinds]
    return max((order.index(f['severity']) for f in seen), default=-1)


def relation(name, merged):
    if any(name.startswith(w) for w in ROUNDED):
        return 'quantized'
    return 'merge' if merged else 'finetune'


def row(home, folder, i, name, model, how):
    merged = name.startswith('merged with')
    bad = []
    for spelling in (SPELLINGS[i % len(SPELLINGS)], SPELLINGS[(i + 5) % len(SPELLINGS)]):
        card = f'base_model: {spelling}\nbase_model_relation: {relation(name, merged)}\nlicense: mit'
        d = told(home, model, how, folder, f'---\n{card}\n---\n')
        if worst(d) > 0:
            bad.append((spelling.strip(), d['findings']))
    parent = (d['parent'] or '').split('@')[0]
    if parent == 'acme/base' and not merged:
        d = told(home, model, how, folder, '---\nbase_model: zoo/stranger\nlicense: mit\n---\n')
        if worst(d, ['F-PARENT-WRONG', 'F-PARENT-UNKNOWN']) < 0:
            bad.append(('false card', d['findings']))
        d = told(home, model, how, folder, '---\nlicense: mit\n---\n')
        if (worst(d, ['F-PARENT-MISSING']) < 1) != (name in SAME):
            bad.append(('no base', d['findings']))
    print(f"| {name} | {d['verdict']} | {parent or '-'} | {bad or 'as it should be'} |", flush=True)
    return not bad


def main():
    o = argparse.ArgumentParser()
    o.add_argument('--kind', default='dense')
    o.add_argument('--only', default='')
    o = o.parse_args()
    seed, c = 1000, fm.config(o.kind, **table.SHAPES[1][o.kind])
    base, other = fm.train(fm.fresh(c, seed)), fm.train(fm.fresh(c, seed + 50), world=6)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = os.path.join(folder, 'home')
        run(home, 'key', 'new', '--name', 'k', '--models', '*/*', '--json')
        for name, m in (('acme/base', base), ('zoo/stranger', other)):
            f = m.write(os.path.join(folder, name.split('/')[1]), card='---\nlicense: mit\n---\n')
            run(home, 'release', 'create', f, '--name', name, '--version', '1', '--key', 'k', '--json')
        changes = itertools.chain(table.dependent(base, other, o.kind, seed),
                                  table.independent(base, o.kind, seed))
        for i, (name, m, how) in enumerate(changes):
            if o.only in name:
                rows.append(row(home, folder, i, name, m, how))
    print(f'{sum(rows)} of {len(rows)} as they should be')
    return not all(rows)


if __name__ == '__main__':
    sys.exit(main())
