"""Names and shapes of the tensors of transformers' families, at small sizes: what save_pretrained writes,
which is what publishers upload. Needs torch and transformers; run by hand: fork_names.py FOLDER FAMILY...
writes FOLDER/FAMILY.txt, the keys of config.json that roles look at and then a line for each tensor.
tests/vectors/forks/names.txt.xz is made of such files, each behind a line of what must be found in it."""
import glob
import json
import os
import sys
import tempfile

from safetensors import safe_open
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers import AutoModelForMaskedLM, AutoModelForSeq2SeqLM, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

transformers.logging.set_verbosity_error()

SIZES = {}
for names, size in (
        ('hidden_size n_embd d_model dim embed_dim word_embed_proj_dim image_size', 32),
        ('intermediate_size ffn_dim d_ff n_inner ffn_hidden_size encoder_ffn_dim decoder_ffn_dim', 48),
        ('moe_intermediate_size shared_expert_intermediate_size', 40),
        ('num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers', 2),
        ('depth num_key_value_heads num_kv_heads num_experts_per_tok num_experts_per_token moe_k', 2),
        ('num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads', 4),
        ('head_dim d_kv qk_rope_head_dim', 8), ('vocab_size', 96),
        ('num_experts num_local_experts moe_num_experts', 3), ('n_routed_experts', 4),
        ('n_shared_experts first_k_dense_replace n_group topk_group bos_token_id', 1),
        ('kv_lora_rank', 24), ('q_lora_rank qk_nope_head_dim patch_size num_mel_bins', 16),
        ('v_head_dim', 12), ('pad_token_id', 0), ('eos_token_id', 2), ('image_token_id', 3),
        ('vision_token_id', 4), ('video_token_id', 5),
        ('max_position_embeddings n_positions max_source_positions max_target_positions', 64)):
    SIZES.update({name: size for name in names.split()})

SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=96, pad_token_id=0)
MAMBA = dict(mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1)
# Families whose configs check themselves: made small at once.
WHOLE = {
    'jamba': dict(num_experts=3, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2,
                  expert_layer_offset=1, use_mamba_kernels=False, mamba_dt_rank=8),
    'gemma3n_text': dict(num_hidden_layers=4, head_dim=8, num_kv_shared_layers=2,
                         layer_types=['sliding_attention', 'full_attention'] * 2, laurel_rank=8,
                         intermediate_size=[48] * 4, activation_sparsity_pattern=[0.] * 4,
                         hidden_size_per_layer_input=8, vocab_size_per_layer_input=96),
    'gemma4_text': dict(head_dim=8, global_head_dim=16, layer_types=['sliding_attention', 'full_attention'],
                        hidden_size_per_layer_input=8, vocab_size_per_layer_input=96, num_kv_shared_layers=0),
    'lfm2_moe': dict(num_experts=3, moe_intermediate_size=40, num_dense_layers=1, num_experts_per_tok=2,
                     layer_types=['conv', 'full_attention']),
    'nemotron': dict(head_dim=8),
    'granitemoehybrid': dict(num_local_experts=3, shared_intermediate_size=40,
                             layer_types=['mamba', 'attention'], **MAMBA),
    'hunyuan_v1_moe': dict(head_dim=8, num_experts=3, moe_topk=2),
    'falcon_h1': dict(MAMBA, head_dim=8, mamba_d_ssm=32, mamba_n_heads=4),
    'recurrent_gemma': dict(head_dim=8, num_hidden_layers=3, lru_width=32),
    'dots1': dict(head_dim=8, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=40,
                  num_experts_per_tok=2, first_k_dense_replace=1),
    'bamba': dict(attn_layer_indices=[1], **MAMBA),
}
KEPT = set('''model_type num_hidden_layers n_layer n_layers num_layers hidden_size n_embd d_model embed_dim
    num_attention_heads n_head num_heads n_heads decoder_attention_heads encoder_attention_heads
    attention_heads decoder_num_attention_heads encoder_num_attention_heads head_dim d_kv kv_channels
    v_head_dim num_local_experts num_experts n_routed_experts moe_num_experts num_key_value_heads'''.split())


def put(c, key, value):
    try:
        setattr(c, key, value)
    except Exception:  # a property
        pass


def shrink(c):
    for inner in list(vars(c).values()):
        if isinstance(inner, PretrainedConfig):
            shrink(inner)
    for key, size in SIZES.items():
        old = getattr(c, key, None)
        if isinstance(old, int) and not isinstance(old, bool):
            put(c, key, size)
    for key in ('layer_types', 'mlp_layer_types'):
        old = getattr(c, key, None)
        if isinstance(old, list):  # each kind of layer at least once
            kinds = list(dict.fromkeys(old))
            put(c, key, (kinds * c.num_hidden_layers)[:c.num_hidden_layers])


def kept(c):
    inner = {k: kept(v) for k, v in c.items()
             if isinstance(v, dict) and (k.endswith('config') or k in ('visual', 'encoder', 'decoder'))}
    return {k: inner.get(k, v) for k, v in c.items() if k in inner or k in KEPT}


def write(family, folder):
    if family in WHOLE:
        c = CONFIG_MAPPING[family](**{**SMALL, **WHOLE[family]})
    else:
        c = CONFIG_MAPPING[family]()
        shrink(c)
    model = None
    for auto in (AutoModelForImageTextToText, AutoModelForSeq2SeqLM, AutoModelForCausalLM,
                 AutoModelForMaskedLM, AutoModel):
        try:
            model = auto.from_config(c)
            break
        except Exception as e:
            why = e
    if model is None:
        raise why
    with tempfile.TemporaryDirectory() as d, open(os.path.join(folder, family + '.txt'), 'w') as out:
        model.save_pretrained(d)
        config = json.load(open(os.path.join(d, 'config.json')))
        print(json.dumps(kept(config), separators=(',', ':')), file=out)
        for f in sorted(glob.glob(os.path.join(d, '*.safetensors'))):
            with safe_open(f, 'pt') as s:
                for k in sorted(s.keys()):
                    print(k, *s.get_slice(k).get_shape(), file=out)


if __name__ == '__main__':
    for name in sys.argv[2:]:
        try:
            write(name, sys.argv[1])
        except Exception as e:
            print(f'{name}: {type(e).__name__} {str(e)[:160]}', file=sys.stderr)
