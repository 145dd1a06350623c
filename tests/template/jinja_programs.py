"""Random template programs, from a seed: every construct, filter, test, method and global of Jinja2 3.1, with
arguments that fit and some that do not. program(rng) is a list of pieces; its text is their concatenation,
and what fails can be looked for in the pieces alone."""

from jinja_words import ATOMS, ATTRIBUTES, FILTERS, LITERALS, LOOP, METHODS, NAMES, TESTS

KINDS = ['str', 'str', 'int', 'float', 'bool', 'list', 'list', 'dict', 'none']


def pick(rng, seq):
    return seq[int(rng.random() * len(seq))]


class Expressions:
    """Expressions as text; `names` are variables that the program has set itself."""

    def __init__(self, rng, wrong=0.07):
        self.rng, self.wrong, self.names = rng, wrong, []

    def chance(self, p):
        return self.rng.random() < p

    def expr(self, kind, depth=2):
        rng = self.rng
        if self.chance(self.wrong):
            kind = 'any'
        if kind in LITERALS:
            return pick(rng, LITERALS[kind])
        if kind == 'num':
            kind = pick(rng, ['int', 'float', 'int'])
        if kind == 'any':
            kind = pick(rng, KINDS)
        if depth <= 0 or self.chance(0.25):
            if self.names and self.chance(0.2):
                return pick(rng, self.names)
            return pick(rng, NAMES[kind] if self.chance(0.55) else ATOMS.get(kind) or NAMES[kind])
        return getattr(self, 'make_' + kind)(depth - 1)

    def arguments(self, spec, names, depth):
        rng, out, by_name = self.rng, [], False
        kinds, names = spec.split(), names.split()
        for i, kind in enumerate(kinds):
            if kind.endswith('?') and self.chance(0.5):
                if not names:
                    break
                by_name = True
                continue
            value = self.expr(kind.rstrip('?'), depth)
            if names and (by_name or self.chance(0.2)):
                by_name = True
                out.append(names[i] + '=' + value)
            else:
                out.append(value)
        if self.chance(0.02):
            out.append(pick(rng, ['1', 'zz=1', '*[1]', "**{'a': 1}"]))
        elif out and self.chance(0.02):
            out.pop()
        return ', '.join(out)

    def filter(self, depth, wanted=None):
        name = pick(self.rng, wanted or list(FILTERS))
        takes, spec, names = [x.replace('-', '') for x in FILTERS[name]]
        arguments = self.arguments(spec, names, depth)
        return (
            self.operand(takes, depth)
            + '|'
            + name
            + ('(' + arguments + ')' if arguments or self.chance(0.1) else '')
        )

    def operand(self, kind, depth):
        text = self.expr(kind, depth)
        plain = all(c.isalnum() or c in '_.' for c in text) and not text[:1].isdigit()
        return text if plain or text[:1] == text[-1:] == "'" and text.count("'") == 2 else '(' + text + ')'

    def method(self, depth, takes):
        fits = [m for m in METHODS if m.split('.')[0] in (takes, 'fmt' if takes == 'str' else takes)]
        method = pick(self.rng, fits)
        kind, name = method.split('.')
        spec = ' '.join(METHODS[method]).replace('-', '')
        receiver = self.operand(kind, depth)
        if kind in ('str', 'fmt') and self.chance(0.12):
            receiver = '(' + receiver + '|safe)'
        return receiver + '.' + name + '(' + self.arguments(spec, '', depth) + ')'

    def test(self, depth):
        name = pick(self.rng, list(TESTS))
        takes, spec = [x.replace('-', '') for x in TESTS[name]]
        arguments = self.arguments(spec, '', depth)
        return (
            self.operand(takes, depth)
            + ' is '
            + ('not ' if self.chance(0.2) else '')
            + name
            + ('(' + arguments + ')' if arguments else '')
        )

    def choose(self, depth):
        """map, select and their like, which take names of filters and tests."""
        rng, source = self.rng, self.operand(pick(self.rng, ['list', 'rows', 'list']), depth)
        form = pick(
            rng,
            [
                lambda: "map('"
                + pick(
                    rng,
                    [
                        'upper',
                        'int',
                        'string',
                        'length',
                        'trim',
                        'tojson',
                        'e',
                        'abs',
                        'first',
                        'zzz',
                        'title',
                    ],
                )
                + "')",
                lambda: 'map(attribute='
                + self.expr('attrname', 0)
                + pick(rng, ['', ', default=' + self.expr('any', 0)])
                + ')',
                lambda: "map('default', " + self.expr('any', 0) + ')',
                lambda: pick(rng, ['select', 'reject']),
                lambda: pick(rng, ['select', 'reject'])
                + "('"
                + pick(rng, ['odd', 'string', 'none', 'number', 'defined', 'zzz', 'mapping'])
                + "')",
                lambda: pick(rng, ['selectattr', 'rejectattr'])
                + '('
                + self.expr('attrname', 0)
                + pick(
                    rng,
                    [
                        '',
                        ", 'defined'",
                        ", 'equalto', " + self.expr('any', 0),
                        ", 'in', " + self.expr('list', 0),
                        ", 'lt', 3",
                    ],
                )
                + ')',
                lambda: "select('in', " + self.expr('list', depth) + ')',
                lambda: "map('round', 1)",
                lambda: "map('replace', 'a', 'b')",
            ],
        )()
        return (
            source
            + '|'
            + form
            + pick(
                rng,
                [
                    '|list',
                    '|list',
                    "|join(',')",
                    '|first',
                    '',
                    '|list|length',
                    '|sum',
                    '|sort',
                    '|unique|list',
                ],
            )
        )

    def make_str(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: self.method(depth, 'str'),
                lambda: self.method(depth, 'str'),
                lambda: self.filter(depth),
                lambda: self.filter(depth),
                lambda: self.operand('any', depth) + ' ~ ' + self.operand('any', depth),
                lambda: self.operand('str', depth) + ' + ' + self.operand('str', depth),
                lambda: self.operand('str', depth) + ' * ' + self.expr('small'),
                lambda: self.operand('fmt', 0) + ' % ' + self.operand('any', depth),
                lambda: self.operand('fmt', 0)
                + ' % ('
                + self.expr('any', depth)
                + ', '
                + self.expr('any', depth)
                + ')',
                lambda: self.index('str', depth),
                lambda: self.condition('str', depth),
                lambda: self.operand('any', depth) + '|string',
            ],
        )()

    def make_int(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: self.operand('num', depth)
                + ' '
                + pick(rng, ['+', '-', '*', '//', '%'])
                + ' '
                + self.operand('num', depth),
                lambda: '-' + self.operand('num', depth),
                lambda: self.operand('int', depth) + ' ** ' + self.expr('small'),
                lambda: '+' + self.operand('num', depth),
                lambda: self.method(depth, 'int'),
                lambda: self.filter(depth, ('int', 'length', 'count', 'abs', 'sum', 'wordcount', 'round')),
                lambda: self.index('list', depth),
                lambda: self.condition('int', depth),
            ],
        )()

    def make_float(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: self.operand('num', depth)
                + ' '
                + pick(rng, ['+', '-', '*', '/', '//', '%'])
                + ' '
                + self.operand('num', depth),
                lambda: self.filter(depth, ('float', 'round', 'abs', 'sum')),
                lambda: self.method(depth, 'float'),
                lambda: self.operand('num', depth) + ' ** ' + pick(rng, ['2', '-1', '0.5', '0', '3']),
            ],
        )()

    def make_bool(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: self.test(depth),
                lambda: self.test(depth),
                lambda: 'not ' + self.operand('any', depth),
                lambda: self.operand('any', depth)
                + pick(rng, [' and ', ' or '])
                + self.operand('any', depth),
                lambda: self.operand('num', depth)
                + pick(rng, [' < ', ' <= ', ' > ', ' >= ', ' == ', ' != '])
                + self.operand('num', depth),
                lambda: self.operand('any', depth)
                + pick(rng, [' in ', ' not in '])
                + self.operand(pick(rng, ['list', 'dict', 'str']), depth),
                lambda: self.operand('any', depth)
                + pick(rng, [' == ', ' != ', ' < '])
                + self.operand('any', depth),
                lambda: self.operand('num', depth)
                + ' < '
                + self.operand('num', depth)
                + ' <= '
                + self.operand('num', depth),
            ],
        )()

    def make_list(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: self.choose(depth),
                lambda: self.choose(depth),
                lambda: '[' + self.expr('any', depth) + ', ' + self.expr('any', depth) + ']',
                lambda: self.operand('list', depth) + ' + ' + self.operand('list', depth),
                lambda: self.index('list', depth),
                lambda: self.filter(
                    depth,
                    ('batch', 'slice', 'sort', 'unique', 'reverse', 'list', 'groupby', 'dictsort', 'items'),
                )
                + '|list',
                lambda: self.method(depth, 'list'),
                lambda: self.operand('list', depth) + ' * ' + self.expr('small'),
                lambda: '(' + self.expr('any', depth) + ',)',
                lambda: 'range(' + self.arguments('small small? small?', '', 0) + ')',
            ],
        )()

    def make_dict(self, depth):
        rng = self.rng
        return pick(
            rng,
            [
                lambda: '{'
                + self.expr('key')
                + ': '
                + self.expr('any', depth)
                + ", 'q': "
                + self.expr('any', depth)
                + '}',
                lambda: 'dict('
                + pick(rng, ['', self.expr('dict', depth) + ', '])
                + 'z='
                + self.expr('any', depth)
                + ')',
                lambda: self.method(depth, 'dict'),
                lambda: 'dict(' + self.expr('list', depth) + ')',
            ],
        )()

    def make_none(self, depth):
        kind = pick(self.rng, list(ATTRIBUTES))
        name = pick(self.rng, ATTRIBUTES[kind])
        return self.operand(kind, depth) + (
            '.' + name if self.chance(0.7) or '.' in name else "['" + name + "']"
        )

    def index(self, kind, depth):
        rng, of = self.rng, self.operand(kind, depth)
        form = pick(rng, ['[{}]', '[{}]', '[{}:{}]', '[::{}]', '[{}:]', '[:{}]', '[{}:{}:{}]'])
        return of + form.format(*[self.expr('pos') for _ in range(form.count('{}'))])

    def condition(self, kind, depth):
        return (
            '('
            + self.expr(kind, depth)
            + ' if '
            + self.expr('bool', depth)
            + pick(self.rng, ['', ' else ' + self.expr(kind, depth)])
            + ')'
        )


class Statements(Expressions):
    """Statements as text, with random white space control."""

    def tag(self, text):
        return (
            '{%'
            + pick(self.rng, ['', '', '', '-', '+'])
            + ' '
            + text
            + ' '
            + pick(self.rng, ['', '', '', '-', '+'])
            + '%}'
        )

    def body(self, depth):
        return ''.join(self.piece(depth) for _ in range(1 + int(self.rng.random() * 2)))

    def show(self, depth=2):
        kind = pick(self.rng, KINDS)
        return (
            '{{'
            + pick(self.rng, [' ', ' ', '- '])
            + self.expr(kind, depth)
            + pick(self.rng, [' ', ' ', ' -'])
            + '}}'
        )

    def piece(self, depth):
        if depth <= 0:
            return pick(self.rng, [self.text, self.show])() if self.chance(0.9) else self.set()
        return pick(
            self.rng,
            [
                self.text,
                self.show,
                self.show,
                self.set,
                self.set_block,
                self.if_,
                self.for_,
                self.for_,
                self.macro,
                self.call,
                self.filter_block,
                self.with_,
                self.autoescape,
                self.namespace,
                self.recursive,
                self.block,
                self.globals,
                self.generation,
                self.unpack,
            ],
        )(*([depth - 1] if depth else []))

    def text(self, depth=0):
        return pick(
            self.rng,
            [
                'a',
                ' b\n',
                '\n  ',
                'x ',
                '\n',
                '{# c #}',
                '{#- c -#}',
                '\t|',
                '{% raw %}{{ r }}{% endraw %}',
                '<',
            ],
        )

    def set(self, depth=1):
        name = pick(self.rng, ['u', 'v1', 'w1', 's', 'n', '_p'])
        text = self.tag('set ' + name + ' = ' + self.expr('any', depth + 1))
        self.names.append(name)
        return text

    def set_block(self, depth):
        name = pick(self.rng, ['u', 'v1', 's'])
        filters = pick(self.rng, ['', '', ' | upper', " | replace('a', 'b') | trim", ' | length'])
        text = self.tag('set ' + name + filters) + self.body(depth) + self.tag('endset')
        self.names.append(name)
        return text + '{{ ' + name + ' }}'

    def if_(self, depth):
        text = self.tag('if ' + self.expr('bool', 1)) + self.body(depth)
        if self.chance(0.3):
            text += self.tag('elif ' + self.expr('any', 1)) + self.body(depth)
        if self.chance(0.5):
            text += self.tag('else') + self.body(depth)
        return text + self.tag('endif')

    def for_(self, depth):
        rng = self.rng
        over = pick(
            rng,
            [
                lambda: self.expr('list', 1),
                lambda: self.expr('list', 1),
                lambda: self.expr('dict', 0),
                lambda: self.expr('str', 0),
                lambda: self.operand('dict', 0) + '.items()',
                lambda: self.expr('any', 1),
            ],
        )()
        head = (
            'for x in '
            + over
            + pick(
                rng,
                [
                    '',
                    '',
                    ' if x',
                    ' if x is ' + pick(rng, ['string', 'odd', 'defined', 'none']),
                    ' if loop is undefined',
                ],
            )
        )
        self.names.append('x')
        inside = self.body(depth)
        inside += pick(
            rng, ['', '{{ x }};', '{{ loop.' + pick(rng, LOOP) + ' }},', '{{ loop }}', '{{ loop|length }}']
        )
        inside += pick(
            rng,
            [
                '',
                '',
                '',
                '{% if loop.index > 1 %}{% break %}{% endif %}',
                '{% if x %}{% continue %}{% endif %}z',
                '{% set u = x %}',
            ],
        )
        text = self.tag(head) + inside
        if self.chance(0.3):
            text += self.tag('else') + self.body(depth)
        return text + self.tag('endfor')

    def unpack(self, depth):
        rng = self.rng
        target, over = pick(
            rng,
            [
                ('x, y', 'll'),
                ('x, y', 'd.items()'),
                ('x, (y, z)', '[(1, (2, 3))]'),
                ('(x, y)', 'll'),
                ('x, y', 'mix'),
                ('x, y', 'd|dictsort'),
                ('x, y', "rows|groupby('k')"),
                ('x,', '[[1], [2]]'),
                ('x, y', "['ab', 'cd']"),
                ('x, y', 'nest|items'),
            ],
        )
        if self.chance(0.4):
            return self.tag('set ' + target + ' = ' + over + '[0]') + '{{ x }}{{ y }}'
        return (
            self.tag('for ' + target + ' in ' + over)
            + '{{ x }}={{ y }}{{ z }}'
            + pick(rng, ['', '{{ loop.last }}'])
            + self.tag('endfor')
        )

    def macro(self, depth):
        rng = self.rng
        head = pick(rng, ['m()', 'm(a)', 'm(a, b=2)', 'm(a, b=a)', "m(a='x', b=n)", 'm(a, caller=none)'])
        self.names.append('a')
        inside = self.body(depth) + pick(
            rng,
            [
                '',
                '{{ a }}',
                '{{ a }}{{ b }}',
                '{{ varargs }}',
                '{{ kwargs }}',
                '{{ varargs }}{{ kwargs }}',
                '{{ caller is defined }}',
            ],
        )
        call = pick(
            rng,
            [
                'm()',
                'm(1)',
                'm(1, 2)',
                'm(1, 2, 3)',
                "m(b='q', a=1)",
                'm(a=1)',
                'm(1, zz=3)',
                'm(*[1, 2])',
                "m(**{'a': 4})",
                'm.name',
                'm.arguments',
                'm.catch_kwargs',
                'm.caller',
                'm',
                'm(1)|upper',
                'm is callable',
                "m(1) ~ m(2)",
            ],
        )
        return self.tag('macro ' + head) + inside + self.tag('endmacro') + '{{ ' + call + ' }}'

    def call(self, depth):
        rng = self.rng
        macro = pick(
            rng,
            [
                '{% macro c() %}[{{ caller() }}]{% endmacro %}',
                '{% macro c(k=1) %}{{ caller(k, 2) }}{% endmacro %}',
                '{% macro c() %}{{ caller(1)|upper }}{{ caller(p=2) }}{% endmacro %}',
                '{% macro c() %}no{% endmacro %}',
            ],
        )
        head = pick(
            rng, ['call c()', 'call(p) c()', 'call(p, q=3) c(5)', 'call(p) c(k=s)', 'call c(1, 2, 3)']
        )
        self.names.append('p')
        return (
            macro
            + self.tag(head)
            + self.body(depth)
            + pick(rng, ['', '{{ p }}', '{{ p }}{{ q }}'])
            + self.tag('endcall')
        )

    def filter_block(self, depth):
        return (
            self.tag(
                'filter '
                + pick(
                    self.rng,
                    [
                        'upper',
                        'trim',
                        'indent(2)',
                        "replace('a', s)",
                        'title|e',
                        'length',
                        'wordwrap(5)',
                        'truncate(5, true)',
                        'e',
                        'zzz',
                        "default('q')",
                    ],
                )
            )
            + self.body(depth)
            + self.tag('endfilter')
        )

    def with_(self, depth):
        head = pick(
            self.rng, ['with', 'with u = ' + self.expr('any', 1), 'with u = n, v1 = u', 'with x, y = ll[0]']
        )
        self.names.append('u')
        return self.tag(head) + self.body(depth) + '{{ u }}' + self.tag('endwith')

    def autoescape(self, depth):
        return (
            self.tag('autoescape ' + pick(self.rng, ['true', 'true', 'false', 't', 'fa', 'not no']))
            + self.body(depth)
            + pick(
                self.rng,
                [
                    '{{ html }}',
                    "{{ '<' ~ html|safe }}",
                    "{{ [html, '<'|safe]|join('<') }}",
                    "{{ html|replace('<', '>'|e) }}",
                    "{{ d|xmlattr }}",
                    "{% set u %}{{ html }}{% endset %}{{ u }}{{ [u] }}",
                    "{{ url|urlize }}",
                    '{{ html|e|e }}',
                    "{{ 'a<'|upper ~ '<' }}",
                ],
            )
            + self.tag('endautoescape')
        )

    def namespace(self, depth):
        return (
            '{% set ns = namespace(a='
            + self.expr('any', 1)
            + ', i=0) %}{% for x in '
            + self.expr('list', 0)
            + ' %}'
            + pick(
                self.rng,
                [
                    '{% set ns.a = x %}',
                    '{% set ns.i = ns.i + 1 %}',
                    '{% set ns.i, ns.a = loop.index, x %}',
                    '{% set ns.zz = [x] %}',
                ],
            )
            + self.body(depth)
            + '{% endfor %}{{ ns.a }}{{ ns.i }}'
            + pick(self.rng, ['', '{{ ns }}', '{{ ns.nope }}', "{{ ns['i'] }}", "{{ ns|attr('a') }}"])
        )

    def recursive(self, depth):
        return (
            '{% for x in tree'
            + pick(self.rng, ['', '[:1]', ' if x.n != \'e\''])
            + ' recursive %}{{ x.n }}'
            + pick(
                self.rng,
                ['', '{{ loop.depth }}', '{{ loop.index }}', '{{ loop.last }}', '{{ loop.length }}'],
            )
            + '{% if x.c %}('
            + pick(self.rng, ['{{ loop(x.c) }}', '{{ loop(x.c)|upper }}', '{{ loop() }}'])
            + '){% endif %}'
            + self.body(depth)
            + '{% endfor %}'
        )

    blocks = 0

    def block(self, depth):
        self.blocks += 1
        name = 'k%d' % self.blocks
        return (
            self.tag('block ' + name + pick(self.rng, ['', '', ' scoped']))
            + self.body(depth)
            + pick(self.rng, ['', '{{ u }}', '{{ x }}', '{{ n }}'])
            + self.tag('endblock' + pick(self.rng, ['', ' ' + name]))
            + pick(self.rng, ['', '', '{{ self.%s() }}' % name, '{{ self.nope }}'])
        )

    def globals(self, depth):
        return pick(
            self.rng,
            [
                "{% set cy = cycler('a', 'b', n) %}{{ cy.next() }}{{ cy.current }}{{ cy.next() }}"
                "{{ cy.next() }}{{ cy.next() }}{% set _ = cy.reset() %}{{ cy.pos }}{{ cy.items }}",
                "{% set j = joiner() %}{{ j() }}{{ j() }}{{ j.used }}",
                "{% set j = joiner(s) %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}",
                "{{ dict.fromkeys(ls, 1) }}",
                "{{ range(3) }}{{ range(1, 9, 3)|list }}{{ range(10)[2:5] }}{{ 2 in range(3) }}",
                "{{ dict }}{{ namespace }}{{ cycler }}",
                "{{ raise_exception('no') }}",
                "{{ strftime_now('%Y-%m-%d %H:%M:%S %j %a %b') }}",
                "{{ self }}",
                "{{ lipsum }}",
                "{{ cycler() }}",
                "{{ range(0, 3, 0) }}",
                "{{ range(-5)|list }}{{ range(2, -2, -1)|list }}{{ range(3) == range(0, 3, 1) }}",
                "{% print n, s %}",
                "{{ super() }}",
                "{% include 'x' %}",
            ],
        )

    def generation(self, depth):
        return self.tag('generation') + self.body(depth) + self.tag('endgeneration')


def program(rng):
    """The pieces of one program."""
    g = Statements(rng)
    if rng.random() < 0.5:
        return [g.show(3)]
    return [g.piece(pick(rng, [1, 2, 2])) for _ in range(1 + int(rng.random() * 4))]
