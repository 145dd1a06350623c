"""Small models of two architectures (dense and mixture of experts, named as Qwen3 names its tensors),
trained here on invented sequences, and everything that is done to models: for forks_table.py and
forks_nulls.py. Needs torch and safetensors; run by hand, nothing of it is part of `make test`.

A model is a dict of tensors and a config; a change is a function of one that gives another. Shapes:
w[out][in], as torch has them. All randomness comes from seeds."""
import copy
import json
import math
import os

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)


class Model:
    """w: name -> tensor (f32); c: config."""

    def __init__(self, w, c):
        self.w, self.c = w, c

    def copy(self):
        return Model({k: v.clone() for k, v in self.w.items()}, copy.deepcopy(self.c))

    def mlps(self):
        """Stems of all MLPs and experts."""
        return sorted(k[:-len('gate_proj.weight')] for k in self.w if k.endswith('gate_proj.weight'))

    def write(self, folder, card=None, dtype=torch.bfloat16, name='model.safetensors', prefix=''):
        os.makedirs(folder, exist_ok=True)
        w = {prefix + k: (v.to(dtype) if dtype is not None and v.is_floating_point() else v)
             .contiguous().clone() for k, v in self.w.items()}
        save_file(w, os.path.join(folder, name), metadata={'format': 'pt'})
        with open(os.path.join(folder, 'config.json'), 'w') as f:
            json.dump(self.c, f, indent=1)
        if card is not None:
            with open(os.path.join(folder, 'README.md'), 'w') as f:
                f.write(card)
        return folder


def config(kind, H=64, L=6, h=96, E=8, V=256, heads=4, kv=2, hd=16):
    c = dict(model_type='qwen3', architectures=['Qwen3ForCausalLM'], hidden_size=H, num_hidden_layers=L,
             vocab_size=V, intermediate_size=h, num_attention_heads=heads, num_key_value_heads=kv,
             head_dim=hd, rms_norm_eps=1e-6, rope_theta=1e4, hidden_act='silu',
             max_position_embeddings=512, tie_word_embeddings=False)
    if kind == 'moe':
        c.update(model_type='qwen3_moe', architectures=['Qwen3MoeForCausalLM'], num_experts=E,
                 num_experts_per_tok=2, moe_intermediate_size=h, norm_topk_prob=True,
                 decoder_sparse_step=1, mlp_only_layers=[])
    return c


def normal(rows, columns, g):
    return torch.randn(rows, columns, generator=g) * .02


def fresh(c, seed, init=normal):
    """Independent initialisation."""
    g = torch.Generator().manual_seed(seed)
    H, V, hd = c['hidden_size'], c['vocab_size'], c['head_dim']
    q, kv = c['num_attention_heads'] * hd, c['num_key_value_heads'] * hd
    w = {'model.embed_tokens.weight': normal(V, H, g), 'lm_head.weight': normal(V, H, g),
         'model.norm.weight': torch.ones(H)}
    for i in range(c['num_hidden_layers']):
        p = f'model.layers.{i}.'
        w[p + 'input_layernorm.weight'] = torch.ones(H)
        w[p + 'post_attention_layernorm.weight'] = torch.ones(H)
        for n, r, k in (('q', q, H), ('k', kv, H), ('v', kv, H), ('o', H, q)):
            w[p + f'self_attn.{n}_proj.weight'] = init(r, k, g)
        for n in 'qk':
            w[p + f'self_attn.{n}_norm.weight'] = torch.ones(hd)
        stems = [p + 'mlp.']
        if 'num_experts' in c:
            w[p + 'mlp.gate.weight'] = normal(c['num_experts'], H, g)
            stems = [p + f'mlp.experts.{e}.' for e in range(c['num_experts'])]
        h = c.get('moe_intermediate_size', c['intermediate_size'])
        for s in stems:
            w[s + 'gate_proj.weight'], w[s + 'up_proj.weight'] = init(h, H, g), init(h, H, g)
            w[s + 'down_proj.weight'] = init(H, h, g)
    return Model(w, c)


# ---- computing and training ----

def rms(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * gain


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def forward(w, c, ids):
    H, hd, nq, nk = c['hidden_size'], c['head_dim'], c['num_attention_heads'], c['num_key_value_heads']
    B, T = ids.shape
    x = w['model.embed_tokens.weight'][ids]
    angle = torch.arange(T)[:, None] * 1e4 ** (-torch.arange(0, hd, 2) / hd)
    cos, sin = angle.cos(), angle.sin()
    for i in range(c['num_hidden_layers']):
        p = f'model.layers.{i}.'
        y = rms(x, w[p + 'input_layernorm.weight'])
        q = (y @ w[p + 'self_attn.q_proj.weight'].T).view(B, T, nq, hd).transpose(1, 2)
        k = (y @ w[p + 'self_attn.k_proj.weight'].T).view(B, T, nk, hd).transpose(1, 2)
        v = (y @ w[p + 'self_attn.v_proj.weight'].T).view(B, T, nk, hd).transpose(1, 2)
        q = rotate(rms(q, w[p + 'self_attn.q_norm.weight']), cos, sin)
        k = rotate(rms(k, w[p + 'self_attn.k_norm.weight']), cos, sin)
        a = torch.nn.functional.scaled_dot_product_attention(
            q, k.repeat_interleave(nq // nk, 1), v.repeat_interleave(nq // nk, 1), is_causal=True)
        x = x + a.transpose(1, 2).reshape(B, T, nq * hd) @ w[p + 'self_attn.o_proj.weight'].T
        y = rms(x, w[p + 'post_attention_layernorm.weight'])
        x = x + feed_forward(w, c, p + 'mlp.', y)
    return rms(x, w['model.norm.weight']) @ w['lm_head.weight'].T


def feed_forward(w, c, p, y):
    def mlp(s):
        return (torch.nn.functional.silu(y @ w[s + 'gate_proj.weight'].T)
                * (y @ w[s + 'up_proj.weight'].T)) @ w[s + 'down_proj.weight'].T
    if 'num_experts' not in c or p + 'gate.weight' not in w:
        return mlp(p)
    share = (y @ w[p + 'gate.weight'].T).softmax(-1)
    best, which = share.topk(c['num_experts_per_tok'], -1)
    share = torch.zeros_like(share).scatter(-1, which, best / best.sum(-1, keepdim=True))
    return sum(share[..., e:e + 1] * mlp(p + f'experts.{e}.') for e in range(share.shape[-1]))


def sequences(world, count, length, V, seed):
    """Text of an invented language: two tokens can follow each."""
    g = torch.Generator().manual_seed(world)
    follow = torch.randint(V, (V, 2), generator=g)
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(V, (count, length), generator=g)
    pick = torch.randint(2, (count, length), generator=g)
    for t in range(1, length):
        ids[:, t] = follow[ids[:, t - 1], pick[:, t]]
    return ids


def train(m, world=1, steps=150, rate=2e-3, order=0, teacher=None, only=None, batch=8, length=48):
    """A trained copy. order: seed of the data; teacher: its outputs are the targets; only: which
    tensors move (a function of the name)."""
    m = m.copy()
    names = [k for k in m.w if only is None or only(k)]
    for k in names:
        m.w[k].requires_grad_(True)
    opt = torch.optim.AdamW([m.w[k] for k in names], rate, weight_decay=.01)
    V = m.c['vocab_size']
    ids = sequences(world, steps * batch, length, V, order)
    for s in range(steps):
        x = ids[s * batch:(s + 1) * batch]
        out = forward(m.w, m.c, x)[:, :-1].reshape(-1, V)
        if teacher is None:
            loss = torch.nn.functional.cross_entropy(out, x[:, 1:].reshape(-1))
        else:
            with torch.no_grad():
                want = forward(teacher.w, teacher.c, x)[:, :-1].reshape(-1, V).softmax(-1)
            loss = -(want * out.log_softmax(-1)).sum(-1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    m.w = {k: v.detach() for k, v in m.w.items()}
    return m


# ---- changes: what people do ----

def matrices(m):
    return [k for k, v in m.w.items() if v.dim() == 2]


def each_matrix(m, f, of=lambda k: 'layers.' in k):
    m = m.copy()
    for k in matrices(m):
        if of(k):
            m.w[k] = f(m.w[k])
    return m


def noise(m, share, seed=1):
    g = torch.Generator().manual_seed(seed)
    return each_matrix(m, lambda v: v + share * v.pow(2).mean().sqrt() * torch.randn(v.shape, generator=g),
                       lambda k: True)


def lora(m, rank=4, share=.3, seed=2):
    g = torch.Generator().manual_seed(seed)

    def add(v):
        d = torch.randn(v.shape[0], rank, generator=g) @ torch.randn(rank, v.shape[1], generator=g)
        return v + d * (share * v.norm() / d.norm())
    return each_matrix(m, add, lambda k: '_proj' in k)


def rounded(m, bits, group=32):
    top = 2 ** (bits - 1) - 1

    def q(v):
        x = v.reshape(-1, group) if v.shape[1] % group == 0 else v
        s = x.abs().amax(1, keepdim=True).clamp_min(1e-12) / top
        return ((x / s).round().clamp(-top - 1, top) * s).reshape(v.shape)
    return each_matrix(m, q)


def fp8(m):
    return each_matrix(m, lambda v: (v * (448 / v.abs().max())).to(torch.float8_e4m3fn).float()
                       / (448 / v.abs().max()))


def pruned(m, share):
    def cut(v):
        at = v.abs().flatten().kthvalue(max(1, int(share * v.numel()))).values
        return torch.where(v.abs() > at, v, torch.zeros(()))
    return each_matrix(m, cut)


def mixed(m, other, share=.5):
    o = m.copy()
    for k in o.w:
        o.w[k] = (1 - share) * m.w[k] + share * other.w[k]
    return o


# ---- changes: what people do who do not want to be found ----

def reordered(m, order_of):
    """Hidden units of each MLP in another order; order_of(units, number)."""
    m = m.copy()
    for i, s in enumerate(m.mlps()):
        at = order_of(m.w[s + 'gate_proj.weight'].shape[0], i)
        for n in ('gate', 'up'):
            m.w[s + n + '_proj.weight'] = m.w[s + n + '_proj.weight'][at]
        m.w[s + 'down_proj.weight'] = m.w[s + 'down_proj.weight'][:, at]
    return m


def permuted(m, seed=3):
    g = torch.Generator().manual_seed(seed)
    return reordered(m, lambda n, i: torch.randperm(n, generator=g))


def shifted(m):
    return reordered(m, lambda n, i: (torch.arange(n) - 1) % n)


def heads_permuted(m, seed=4):
    """Groups of heads, heads in groups, value dimensions in heads."""
    g, m = torch.Generator().manual_seed(seed), m.copy()
    nq, nk, hd = m.c['num_attention_heads'], m.c['num_key_value_heads'], m.c['head_dim']
    for i in range(m.c['num_hidden_layers']):
        p, r = f'model.layers.{i}.self_attn.', nq // nk
        group = torch.randperm(nk, generator=g)
        heads = torch.cat([k * r + torch.randperm(r, generator=g) for k in group])
        inside = [torch.randperm(hd, generator=g) for _ in range(nk)]
        rows = {'q': torch.cat([h * hd + torch.arange(hd) for h in heads]),
                'k': torch.cat([k * hd + torch.arange(hd) for k in group]),
                'v': torch.cat([k * hd + inside[k] for k in group])}
        for n, at in rows.items():
            m.w[p + n + '_proj.weight'] = m.w[p + n + '_proj.weight'][at]
        columns = torch.cat([h * hd + inside[h // r] for h in heads])
        m.w[p + 'o_proj.weight'] = m.w[p + 'o_proj.weight'][:, columns]
    return m


def experts_permuted(m, seed=5):
    g, old, m = torch.Generator().manual_seed(seed), m, m.copy()
    for i in range(m.c['num_hidden_layers']):
        p = f'model.layers.{i}.mlp.'
        order = torch.randperm(m.c['num_experts'], generator=g)
        m.w[p + 'gate.weight'] = old.w[p + 'gate.weight'][order]
        for to, at in enumerate(order.tolist()):
            for n in ('gate', 'up', 'down'):
                m.w[p + f'experts.{to}.{n}_proj.weight'] = old.w[p + f'experts.{at}.{n}_proj.weight']
    return m


READS = ('q_proj', 'k_proj', 'v_proj', 'gate_proj', 'up_proj', 'mlp.gate.weight')
WRITES = ('o_proj', 'down_proj')


def turned(m, seed=6):
    """The residual stream in another basis, norms folded into what they feed."""
    m, H = m.copy(), m.c['hidden_size']
    Q = torch.linalg.qr(torch.randn(H, H, generator=torch.Generator().manual_seed(seed)))[0]
    for k in matrices(m):
        v = m.w[k]
        if any(n in k for n in READS):
            norm = 'input_layernorm' if 'self_attn' in k else 'post_attention_layernorm'
            v = v * m.w['.'.join(k.split('.')[:3]) + f'.{norm}.weight']
            v = v @ Q
        elif any(n in k for n in WRITES):
            v = Q.T @ v
        elif 'lm_head' in k:
            v = (v * m.w['model.norm.weight']) @ Q
        else:
            v = v @ Q
        m.w[k] = v
    for k in m.w:
        if k.endswith('layernorm.weight') or k == 'model.norm.weight':
            m.w[k] = torch.ones(H)
    return m


def rescaled(m, seed=7):
    """Up rows times s, down columns over s: the same function."""
    g, m = torch.Generator().manual_seed(seed), m.copy()
    for s in m.mlps():
        f = torch.exp(torch.randn(m.w[s + 'up_proj.weight'].shape[0], generator=g))
        m.w[s + 'up_proj.weight'] = m.w[s + 'up_proj.weight'] * f[:, None]
        m.w[s + 'down_proj.weight'] = m.w[s + 'down_proj.weight'] / f
    return m


def zero_unit(m):
    m = m.copy()
    for s in m.mlps():
        for n in ('gate', 'up'):
            v = m.w[s + n + '_proj.weight']
            m.w[s + n + '_proj.weight'] = torch.cat([v, torch.zeros(1, v.shape[1])])
        v = m.w[s + 'down_proj.weight']
        m.w[s + 'down_proj.weight'] = torch.cat([v, torch.zeros(v.shape[0], 1)], 1)
    for k in ('intermediate_size', 'moe_intermediate_size'):
        if k in m.c:
            m.c[k] += 1
    return m


def layers(m, order, extra=None):
    """The layers of this list of numbers; -1: a layer of random weights that adds nothing."""
    o = Model({k: v for k, v in m.w.items() if '.layers.' not in k}, copy.deepcopy(m.c))
    for to, at in enumerate(order):
        source = extra if at < 0 else m
        for k, v in source.w.items():
            if k.startswith(f'model.layers.{max(at, 0)}.'):
                v = v * 0 if at < 0 and any(n in k for n in WRITES) else v
                o.w['.'.join(['model.layers', str(to)] + k.split('.')[3:])] = v.clone()
    o.c['num_hidden_layers'] = len(order)
    return o


def narrower(m, keep=.625, seed=8):
    """Some hidden units of each MLP dropped."""
    g, m = torch.Generator().manual_seed(seed), m.copy()
    for s in m.mlps():
        n = m.w[s + 'gate_proj.weight'].shape[0]
        at = torch.randperm(n, generator=g)[:int(n * keep)].sort().values
        for p in ('gate', 'up'):
            m.w[s + p + '_proj.weight'] = m.w[s + p + '_proj.weight'][at]
        m.w[s + 'down_proj.weight'] = m.w[s + 'down_proj.weight'][:, at]
    for k in ('intermediate_size', 'moe_intermediate_size'):
        if k in m.c:
            m.c[k] = int(m.c[k] * keep)
    return m


def thinner(m, keep=.75, seed=9):
    """Some dimensions of the residual stream dropped."""
    g, m, H = torch.Generator().manual_seed(seed), m.copy(), m.c['hidden_size']
    at = torch.randperm(H, generator=g)[:int(H * keep)].sort().values
    for k, v in m.w.items():
        if k.endswith('layernorm.weight') or k == 'model.norm.weight':
            m.w[k] = v[at]
        elif v.dim() == 2:
            m.w[k] = v[at] if any(n in k for n in WRITES) else v[:, at]
    m.c['hidden_size'] = len(at)
    return m


def fewer_experts(m, merge):
    """Half the experts: pairs averaged, or every second dropped."""
    m, E = m.copy(), m.c['num_experts']
    for i in range(m.c['num_hidden_layers']):
        p = f'model.layers.{i}.mlp.'
        for e in range(E // 2):
            for n in ('gate', 'up', 'down'):
                a = m.w[p + f'experts.{2 * e}.{n}_proj.weight']
                b = m.w[p + f'experts.{2 * e + 1}.{n}_proj.weight']
                m.w[p + f'experts.{e}.{n}_proj.weight'] = (a + b) / 2 if merge else a
        for e in range(E // 2, E):
            for n in ('gate', 'up', 'down'):
                del m.w[p + f'experts.{e}.{n}_proj.weight']
        m.w[p + 'gate.weight'] = m.w[p + 'gate.weight'][::2].clone()
    m.c['num_experts'] = E // 2
    return m


def upcycled(m, E=4, share=.1, seed=10):
    """Each MLP of a dense model E times, with noise, and a new router."""
    g, c = torch.Generator().manual_seed(seed), copy.deepcopy(m.c)
    c.update({k: v for k, v in config('moe', E=E).items()
              if k in ('model_type', 'architectures', 'num_experts', 'num_experts_per_tok',
                       'norm_topk_prob', 'decoder_sparse_step', 'mlp_only_layers')})
    c['moe_intermediate_size'] = c['intermediate_size']
    w = {}
    for k, v in m.w.items():
        if '.mlp.' not in k:
            w[k] = v.clone()
            continue
        head, tail = k.split('.mlp.')
        for e in range(E):
            w[f'{head}.mlp.experts.{e}.{tail}'] = \
                v + share * v.std() * torch.randn(v.shape, generator=g)
    for i in range(c['num_hidden_layers']):
        w[f'model.layers.{i}.mlp.gate.weight'] = normal(E, c['hidden_size'], g)
    return Model(w, c)


def new_vocabulary(m, V=320, seed=11):
    g, m = torch.Generator().manual_seed(seed), m.copy()
    for k in ('model.embed_tokens.weight', 'lm_head.weight'):
        m.w[k] = normal(V, m.c['hidden_size'], g) * (m.w[k].std() / .02)
    m.c['vocab_size'] = V
    return m


# ---- spellings: the same function, other names ----

def renamed(m, table, drop=()):
    return Model({table(k): v for k, v in m.w.items() if k not in drop}, copy.deepcopy(m.c))


def fused(m):
    m = m.copy()
    for s in m.mlps():
        m.w[s + 'gate_up_proj.weight'] = torch.cat(
            [m.w.pop(s + 'gate_proj.weight'), m.w.pop(s + 'up_proj.weight')])
    for i in range(m.c['num_hidden_layers']):
        p = f'model.layers.{i}.self_attn.'
        m.w[p + 'qkv_proj.weight'] = torch.cat([m.w.pop(p + n + '_proj.weight') for n in 'qkv'])
    return m


def stacked(m, transposed):
    """Experts of a layer in one tensor."""
    m = m.copy()
    for i in range(m.c['num_hidden_layers']):
        p = f'model.layers.{i}.mlp.experts.'
        take = [[m.w.pop(p + f'{e}.{n}_proj.weight') for n in ('gate', 'up', 'down')]
                for e in range(m.c['num_experts'])]
        a = torch.stack([torch.cat([g, u]) for g, u, d in take])
        b = torch.stack([d for g, u, d in take])
        m.w[p + 'gate_up_proj'] = a.transpose(1, 2) if transposed else a
        m.w[p + 'down_proj'] = b.transpose(1, 2) if transposed else b
    return m


def mixtral_names(k):
    for a, b in (('gate_proj', 'w1'), ('up_proj', 'w3'), ('down_proj', 'w2'),
                 ('mlp.', 'block_sparse_moe.')):
        k = k.replace(a, b)
    return k


def llama_names(k):
    for a, b in (('model.layers', 'layers'), ('model.embed_tokens', 'tok_embeddings'),
                 ('lm_head', 'output'), ('model.norm', 'norm'), ('mlp.gate_proj', 'feed_forward.w1'),
                 ('mlp.up_proj', 'feed_forward.w3'), ('mlp.down_proj', 'feed_forward.w2'),
                 ('self_attn.q_proj', 'attention.wq'), ('self_attn.k_proj', 'attention.wk'),
                 ('self_attn.v_proj', 'attention.wv'), ('self_attn.o_proj', 'attention.wo'),
                 ('input_layernorm', 'attention_norm'), ('post_attention_layernorm', 'ffn_norm')):
        k = k.replace(a, b)
    return k


def heads_repeated(m):
    """Grouped heads stored as one for each query head."""
    m, hd = m.copy(), m.c['head_dim']
    r = m.c['num_attention_heads'] // m.c['num_key_value_heads']
    for i in range(m.c['num_hidden_layers']):
        for n in 'kv':
            k = f'model.layers.{i}.self_attn.{n}_proj.weight'
            v = m.w[k]
            m.w[k] = v.view(-1, hd, v.shape[1]).repeat_interleave(r, 0).reshape(-1, v.shape[1])
    m.c['num_key_value_heads'] = m.c['num_attention_heads']
    return m


def relative_change(a, b):
    names = [k for k in matrices(a) if k in b.w and b.w[k].shape == a.w[k].shape]
    d = sum((b.w[k] - a.w[k]).pow(2).sum() for k in names)
    return math.sqrt(d / sum(a.w[k].pow(2).sum() for k in names))
