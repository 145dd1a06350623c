"""What random templates are made of: names, literals, and all that Jinja2 3.1 offers, with the kinds of its
arguments. Words stand two spaces apart."""


def table(text):
    """Lines "KEY: word  word ..."; a line that is indented goes on with the last."""
    made, key = {}, None
    for line in text.strip("\n").split("\n"):
        if not line.startswith("    "):
            key, line = line.split(": ", 1)
            made[key] = []
        made[key] += [w for w in line.strip().split("  ") if w]
    return made


NAMES = table(r'''
str: s  empty  word  html  digits  real  lines  greek  csv  pct  brace  url  long  astral
int: n  zero  neg  big  one  t  fa
float: f  g  huge  whole
bool: t  fa
list: l  e  ls  mix  ll  nums  rows  messages
dict: d  ed  nest  rows[0]  messages[2]
none: no  missing  d.missing  nest.x.missing
''')
LITERALS = table(r'''
name: 'upper'  'odd'  'k'  'v'  'zzz'  'items'  'b'  'real'  'in'
small: 0  1  2  3  -1  5
width: 0  1  5  8  12  30  -3
attrname: 'k'  'v'  'w.q'  'k,v'  0  '0'  none  'zz'
by: 'key'  'value'  'x'
indent: 2  0  '> '  4  none  ''
base: 10  16  2  8  0  36  1
places: 0  1  2  -1  -2  3  none
method: 'common'  'ceil'  'floor'  'up'
end: '..'  ''  '!'
seps: (',', ':')  [',', ': ']  ', '  none
char: '*'  '\x20'  '\xe9'  'ab'  ''
pos: 0  1  -1  3  -4  99  none
codec: 'utf-8'  'ascii'  'latin-1'
sep: ','  '\x20'  none  'o'  ''
key: 'b'  'a'  'zz'  0  'x'
rows: rows  messages  rows[:2]  ll  rows[::-1]
nums: l  nums  e  ll  rows  [0.1] * 3  [f, n]  ls
fmt: '%s-%s'  '%d'  '%05.1f|%x'  '%r'  '%(b)s'  '{}{}'  '{0!r:>8}|{1}'  '{:,}'  '{b}'  '{0[0]}'  '{0.x}'
    '{:^9}'  '%c%%'  '%+d'  '%-6s|'  '{:08.3f}'  '{:+}'  '{:#x}'  '{:e}'  '{:%}'  '%*d'  '{:{}}'  '{!s}'
    '{:_}'  '{:g}'  pct  brace
''')
ATOMS = table(r'''
str: 
    'a'  ''  'B c'  "d\n"  '%'  '\xe9\xdf'  '<i>'  'x'\x20'y'  '\u00e9\x41\101'  '12'  'o'  'l'  '\x20'  ','
    'Abc Def'
int: 0  1  2  -3  10  255  0x1F  1_000  0b101  3 ** 4  12345678901234567890
float: 0.5  1.0  -2.25  1e3  2.5e-7  1e16  0.1  123456.789
bool: true  false  True  False
list: []  [1]  ['x', 'Y']  (1, 2)  ()  [n, s, none]  [[1], [2]]  range(4)  range(5, 0, -2)  [1.5, 1, true]
    [{'k': 1}, {'k': 'z'}]
dict: {}  {'a': 1}  {'b': 'x', 1: 2}  {'x': none, 'y': [1]}  dict(a=1, b=s)  {(1, 2): 3}  {'<': '&'}
none: none  None
''')
# NAME: receiver | arguments, "?" behind what may be left out | the names that they go by
FILTERS = table(r'''
abs: num  -  -
attr: any  name  name
batch: list  small any?  linecount fill_with
capitalize: str  -  -
center: str  width?  width
count: any  -  -
d: any  any? bool?  default_value boolean
default: any  any? bool?  default_value boolean
dictsort: dict  bool? by? bool?  case_sensitive by reverse
e: str  -  -
escape: any  -  -
filesizeformat: num  bool?  binary
first: list  -  -
float: any  num?  default
forceescape: any  -  -
format: fmt  any? any? any?  -
groupby: rows  attrname any? bool?  attribute default case_sensitive
indent: str  indent? bool? bool?  width first blank
int: any  num? base?  default base
join: list  str? attrname?  d attribute
last: list  -  -
length: any  -  -
list: any  -  -
lower: any  -  -
items: dict  -  -
min: list  bool? attrname?  case_sensitive attribute
max: list  bool? attrname?  case_sensitive attribute
pprint: any  -  -
random: list  -  -
replace: str  str str small?  old new count
reverse: list  -  -
round: num  places? method?  precision method
safe: any  -  -
slice: list  small any?  slices fill_with
sort: list  bool? bool? attrname?  reverse case_sensitive attribute
string: any  -  -
striptags: str  -  -
sum: nums  attrname? num?  attribute start
title: str  -  -
trim: str  str?  chars
truncate: str  width? bool? end? small?  length killwords end leeway
unique: list  bool? attrname?  case_sensitive attribute
upper: any  -  -
urlencode: any  -  -
urlize: str  width? bool? str? str?  trim_url_limit nofollow target rel
wordcount: str  -  -
wordwrap: str  width? bool? end? bool?  width break_long_words wrapstring break_on_hyphens
xmlattr: dict  bool?  autospace
tojson: any  bool? indent? seps? bool?  ensure_ascii indent separators sort_keys
''')
# NAME: receiver, arguments
METHODS = table(r'''
str.capitalize: -
str.casefold: -
str.center: width char?
str.count: str pos? pos?
str.encode: codec?
str.endswith: str pos? pos?
str.expandtabs: small?
str.find: str pos? pos?
fmt.format: any? any? any?
fmt.format_map: dict
str.index: str pos? pos?
str.isalnum: -
str.isalpha: -
str.isascii: -
str.isdecimal: -
str.isdigit: -
str.isidentifier: -
str.islower: -
str.isnumeric: -
str.isprintable: -
str.isspace: -
str.istitle: -
str.isupper: -
str.join: list
str.ljust: width char?
str.lower: -
str.lstrip: str?
str.partition: str
str.removeprefix: str
str.removesuffix: str
str.replace: str str small?
str.rfind: str pos? pos?
str.rindex: str pos? pos?
str.rjust: width char?
str.rpartition: str
str.rsplit: sep? small?
str.rstrip: str?
str.split: sep? small?
str.splitlines: bool?
str.startswith: str pos? pos?
str.strip: str?
str.swapcase: -
str.title: -
str.translate: dict
str.upper: -
str.zfill: width
str.maketrans: str str?
list.count: any
list.index: any pos? pos?
list.copy: -
list.append: any
list.pop: -
dict.get: key any?
dict.items: -
dict.keys: -
dict.values: -
dict.copy: -
dict.update: dict
dict.fromkeys: list any?
int.bit_length: -
int.bit_count: -
int.conjugate: -
int.as_integer_ratio: -
float.is_integer: -
float.hex: -
float.as_integer_ratio: -
float.conjugate: -
int.to_bytes: small str?
''')
TESTS = table(r'''
odd: num  -
even: num  -
divisibleby: num  num
defined: any  -
undefined: any  -
filter: name  -
test: name  -
none: any  -
boolean: any  -
false: any  -
true: any  -
integer: any  -
float: any  -
lower: str  -
upper: str  -
string: any  -
mapping: any  -
number: any  -
sequence: any  -
iterable: any  -
callable: any  -
escaped: any  -
in: any  list
eq: any  any
equalto: any  any
ne: any  any
gt: num  num
greaterthan: num  num
ge: num  num
lt: str  str
lessthan: num  num
le: num  num
sameas: any  bool
''')
ATTRIBUTES = table(r'''
int: real  imag  numerator  denominator
float: real  imag
dict: b  items  x  x.y
list: 0  append
str: upper
any: _x  __class__  q
''')
LOOP = table(r'''
all: 
    index  index0  revindex  revindex0  first  last  length  depth  depth0  previtem  nextitem  cycle(1, 2)
    cycle('a','b','c')  changed(x)  changed(x, 1)  cycle()  zz  previtem is defined  nextitem|default(0)
''')['all']
VARIABLES = {
    's': 'Hello, W\u00f6rld!',
    'empty': '',
    'word': 'stra\u00dfe',
    'html': '<b>x & "y"</b> &amp; \'z\'',
    'digits': '42',
    'real': '-3.50',
    'lines': 'one\n two\r\n\n\tthree four',
    'greek': '\u039f\u0394\u039f\u03a3 \u01c6 \ufb01 \u0130',
    'csv': 'b,a,,C',
    'pct': '%s|%5d|%-4s',
    'brace': '{} {0} {a}',
    'url': 'see (http://a.example/x?y=1), mail a.b@c.example.org.',
    'long': 'the quick brown fox-jumps -- over the lazy dog; supercalifragilistic',
    'astral': 'a\U0001f600b',
    'n': 7,
    'zero': 0,
    'neg': -13,
    'big': 9007199254740993,
    'one': 1,
    'f': 2.5,
    'g': -0.001,
    'huge': 1e300,
    'whole': 3.0,
    't': True,
    'fa': False,
    'no': None,
    'l': [3, 1, 2],
    'e': [],
    'ls': ['b', 'A', 'c', 'a'],
    'mix': [1, 'x', None, 2.5, [1]],
    'll': [[1, 2], [3, 4]],
    'nums': [1, 2.5, True, -4],
    'd': {'b': 1, 'a': [1, 2], 'C': None},
    'ed': {},
    'nest': {'x': {'y': {'z': 5}}, 'k': 'v'},
    'rows': [
        {'k': 'x', 'v': 1, 'w': {'q': 'B'}},
        {'k': 'Y', 'v': 3, 'w': {'q': 'a'}},
        {'k': 'X', 'v': 2, 'w': {'q': 'c'}},
    ],
    'tree': [
        {'n': 'a', 'c': [{'n': 'b', 'c': []}, {'n': 'c', 'c': [{'n': 'd', 'c': []}]}]},
        {'n': 'e', 'c': []},
    ],
    'items': 5,
    'bos_token': '<s>',
}
MESSAGES = [
    {'role': 'system', 'content': 'Be <b>kind</b>.'},
    {'role': 'user', 'content': 'Hi\n there '},
    {
        'role': 'assistant',
        'content': None,
        'tool_calls': [{'function': {'name': 'f', 'arguments': {'x': 1}}}],
    },
]
