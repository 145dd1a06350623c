#!/usr/bin/env python3
# peer: jinja2
"""Random templates, and Unicode's every character, against Jinja2's sandbox as transformers sets it up:
the same bytes, or both refuse. JINJA_PROGRAMS and JINJA_SEED choose others."""

import datetime
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import unicodedata
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    print('skipped: jinja2 is not installed')
    sys.exit(77)

from jinja_programs import program
from jinja_words import MESSAGES, VARIABLES

warnings.simplefilter('ignore')
HALLMARK = os.environ.get('BUILD', 'build') + '/hallmark'
NOW = '2026-11-02T03:05:09'
BATCH = 2000

# What may differ: a pattern of our error or of Jinja's, which side refuses, and why.
ALLOWED = [
    ('ours', r'random of more than one item', 'chance'),
    ('ours', r'complex numbers', 'not among the values here'),
    (
        'ours',
        r'the text of a (generator|method|function|Cycler|Joiner|BlockReference)',
        'it holds an address',
    ),
    ('ours', r'lipsum', 'chance'),
    ('ours', r'formatting bytes|not available in this version: \w+$', 'methods of bytes'),
    ('ours', r'whether equal (numbers|strings) are the same', 'depends on what Python shares'),
    (
        'ours',
        r"cannot be sliced|slice indices must be integers",
        'Jinja folds a slice of a constant to undefined',
    ),
    ('ours', r'half of a surrogate pair|sets', 'not among the values here'),
    ('jinja', r"has no attribute 'is_integer'", 'int.is_integer came with Python 3.12'),
    ('jinja', r'object cannot be interpreted as an integer', 'a flag may be anything since Python 3.12'),
]


class Generation(jinja2.ext.Extension):
    tags = {'generation'}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method('support'), [], [], body).set_lineno(line)

    def support(self, caller):
        return caller()


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters['tojson'] = tojson
    made.globals['raise_exception'] = raise_exception
    made.globals['strftime_now'] = lambda f: datetime.datetime.fromisoformat(NOW).strftime(f)
    return made


def too_long(*_):
    raise TimeoutError('the witness takes too long')


def reference(env, template, variables):
    """(text, None) or (None, why)."""
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        text = env.from_string(template).render(**json.loads(json.dumps(variables)))
        text.encode()
        return text, None
    except BaseException as e:  # whatever Python raises ends a rendering
        return None, type(e).__name__ + ': ' + str(e)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ours(templates, variables):
    """What the program makes of each: {"text": ...} or {"error": ...}."""
    cases = [
        {
            'name': str(i),
            'template': t,
            'messages': variables.get('messages'),
            'tools': None,
            'now': NOW,
            'add_generation_prompt': True,
            'vars': variables,
            'expected': None,
            'error': None,
        }
        for i, t in enumerate(templates)
    ]
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + '/cases.json', 'w') as f:
            json.dump(cases, f)
        subprocess.run(
            [HALLMARK, 'selftest', '--templates', folder + '/cases.json', '--dump', folder, '--json'],
            stdout=subprocess.DEVNULL,
        )
        with open(folder + '/templates.jsonl', encoding='utf-8', newline='\n') as f:
            made = [json.loads(line) for line in f.read().split('\n') if line]
    assert len(made) == len(templates), 'templates.jsonl has %d lines' % len(made)
    return made


def difference(want, got):
    """None, or how the two differ beyond what is allowed."""
    text, why = want
    if why is None and got.get('text') == text or why is not None and 'error' in got:
        return None
    if why is not None and why.startswith('TimeoutError'):
        return None
    side, said = ('ours', got['error']) if why is None and 'error' in got else ('jinja', why or '')
    if side == 'ours' and re.search(' at 0x[0-9a-f]+>', text):
        return None
    if any(s == side and re.search(pattern, said) for s, pattern, _ in ALLOWED):
        return None
    return 'Jinja: %r\n  here:  %r' % (want, got)


def smallest(env, pieces, variables):
    """The piece of a program that differs by itself, or the whole."""
    for piece, got in zip(pieces, ours(pieces, variables)):
        if difference(reference(env, piece, variables), got):
            return piece
    return ''.join(pieces)


def compare_programs(env, count, seed):
    rng, failed, taken = random.Random(seed), 0, 0
    variables = dict(VARIABLES, messages=MESSAGES, tools=None, add_generation_prompt=True)
    for _ in range(0, count, BATCH):
        programs = [program(rng) for _ in range(BATCH)]
        made = ours([''.join(p) for p in programs], variables)
        for pieces, got in zip(programs, made):
            want = reference(env, ''.join(pieces), variables)
            taken += want[1] is None
            if not difference(want, got):
                continue
            failed += 1
            if failed <= 10:
                template = smallest(env, pieces, variables)
                print('differs: %r' % template)
                print(
                    '  '
                    + str(difference(reference(env, template, variables), ours([template], variables)[0]))
                )
    print('%d programs of seed %d, %d rendered by Jinja, %d differ' % (count, seed, taken, failed))
    return failed == 0 and taken > count // 3


QUESTIONS = [
    'isalpha',
    'isalnum',
    'isdecimal',
    'isdigit',
    'isnumeric',
    'isidentifier',
    'islower',
    'isupper',
    'istitle',
    'isspace',
    'isprintable',
]
CHANGES = ['upper', 'lower', 'title', 'capitalize', 'casefold', 'swapcase']


def compare_characters():
    """Every character that this Python's Unicode has, alone, behind a letter and before one."""
    known = [chr(c) for c in range(1, 0x110000) if unicodedata.category(chr(c)) not in ('Cn', 'Cs')]
    template = (
        '{% for x in xs %}'
        + '{{ x.'
        + '() }}\n{{ x.'.join(CHANGES)
        + "() }}\n{{ x|title }}\n"
        + ''.join('{{ x.%s()|int }}' % q for q in QUESTIONS)
        + '\n{% endfor %}'
    )
    words = [w for c in known if c not in '\n\r' for w in (c, 'a\u03a3' + c)]
    words += [
        'a\u03a3' + c + 'b' for c in known if unicodedata.category(c) in ('Mn', 'Lm', 'Sk', 'Cf', 'Po')
    ]
    bad = 0
    for i in range(0, len(words), 40000):
        part = words[i : i + 40000]
        made = ours([template], {'xs': part})[0].get('text', '').split('\n')
        at = 0
        for w in part:
            want = [getattr(w, c)() for c in CHANGES]
            want.append(''.join(p[0].upper() + p[1:].lower() for p in re.split(r'([-\s({\[<]+)', w) if p))
            want = '\n'.join(want + [''.join(str(int(getattr(w, q)())) for q in QUESTIONS)])
            n = want.count('\n') + 1
            got = '\n'.join(made[at : at + n])
            at += n
            if got != want:
                bad += 1
                if bad <= 10:
                    print('differs: %a: Python %a, here %a' % (w, want, got))
    print('%d words of %d characters, %d differ' % (len(words), len(known), bad))
    return bad == 0


def main():
    signal.signal(signal.SIGALRM, too_long)
    env = environment()
    count, seed = int(os.environ.get('JINJA_PROGRAMS', 10000)), int(os.environ.get('JINJA_SEED', 20261130))
    good = compare_characters()
    return 0 if compare_programs(env, count, seed) and good else 1


sys.exit(main())
